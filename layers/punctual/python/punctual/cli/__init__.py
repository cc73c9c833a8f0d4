"""The command line: a client of the HTTP API, and the way to start the host.

One module per noun: `jobs.py` holds `punctual jobs …`, `runs.py` holds `punctual runs …`. A module
makes a `typer.Typer` called `app`, and each of its commands asks `ctx.obj`, the `Session` of this
invocation, for what it needs: the client, the output, the clock. To add a noun (`dead-letters`,
`cost`, `import crontab`) write its module and register it in `main.py` with one line:

    app.add_typer(dead_letters.app, name="dead-letters")

What every command has from there: the global options wherever they stand, retries, signing,
problems told in lines, and the exit code. What it must not do is import what is slow (boto3,
urllib3, aiohttp, pydantic models, the host) at the top of its module.
"""
