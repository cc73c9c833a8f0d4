// Graphile Worker: jobs in PostgreSQL, 24 at a time in one process that fetches 500 ahead.

import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { call, ready, role, serve, store } from "./protocol.mjs";

// What its page on performance says: a queue of the worker's own, and completions in batches. By
// default, one job at a time, and jobs that have become due are looked for every 2 s.
const WORKER = {
    concurrentJobs: 24,
    pollInterval: 100,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
};

const connection = { connectionString: store, logger: new Logger(() => () => {}) };

if (role === "worker") {
    await run({
        ...connection,
        noHandleSignals: true,
        taskList: { call: ({ id }) => call(id) },
        preset: { worker: WORKER },
    });
    ready();
} else {
    const utils = await makeWorkerUtils(connection);
    await serve({
        createOne: (id, slot) => utils.addJob("call", { id }, { runAt: new Date(slot) }),
        createMany: (jobs) =>
            utils.addJobs(
                jobs.map(([id, slot]) => ({
                    identifier: "call",
                    payload: { id },
                    runAt: new Date(slot),
                })),
            ),
    });
}
