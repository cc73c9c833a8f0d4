"""What is uploaded: the layers and the functions, as the stack builds them."""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def measure() -> Iterator[Json]:
    """Yield a line for each layer and function: MB as unpacked, and as a zip of best effort."""
    with tempfile.TemporaryDirectory(prefix="punctual-aws-") as name:
        folder = Path(name)
        synthesize(folder / "out")
        for asset, path in assets(folder / "out"):
            yield {"asset": asset} | sizes_of(path, zip_at=folder / "asset.zip")


def synthesize(out: Path, **more: str) -> None:
    """Have CDK build every asset, as for a deployment; what is given besides is its context."""
    context = {
        "aws:cdk:bundling-stacks": ["**"],
        "aws:cdk:enable-asset-metadata": True,
        "aws:cdk:enable-path-metadata": True,
        **more,
    }
    subprocess.run(
        [sys.executable, "-m", "infra.app"],
        check=True,
        stderr=subprocess.DEVNULL,  # what is bundled; a failure says so in its own way
        env=os.environ | {"CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": json.dumps(context)},
    )


def assets(out: Path) -> Iterator[tuple[str, Path]]:
    """Yield what each asset of code is called, and where it lies; each place once."""
    seen: set[Path] = set()
    for template in sorted(out.glob("*.template.json")):
        for resource in json.loads(template.read_text())["Resources"].values():
            place = resource.get("Metadata", {}).get("aws:asset:path")
            if place is None or out / place in seen:
                continue
            seen.add(out / place)
            kind = resource["Type"].rpartition("::")[2]
            path = resource["Metadata"]["aws:cdk:path"].split("/")
            yield f"{kind}: {'/'.join(path[1:-1])}", out / place


def sizes_of(folder: Path, *, zip_at: Path) -> Json:
    """Return the size of what is in a folder, unpacked and zipped, in MB of 10⁶ bytes."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(zip_at, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder))
    return {
        "files": len(files),
        "unzipped_mb": round(sum(path.stat().st_size for path in files) / 1e6, 3),
        "zipped_mb": round(zip_at.stat().st_size / 1e6, 3),
    }
