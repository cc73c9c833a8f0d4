// BullMQ: jobs in Redis, fifty at a time in one process (by default, one).

import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { call, ready, role, serve, store } from "./protocol.mjs";

const CONCURRENCY = 50;
const NAME = "calls";

const connection = new Redis(store, { maxRetriesPerRequest: null });

if (role === "worker") {
    const run = ({ id, data }) => call(data.id, data.recurs ? slotOf(id) : undefined);
    const worker = new Worker(NAME, run, { connection, concurrency: CONCURRENCY });
    worker.on("error", console.error);
    await worker.waitUntilReady();
    ready();
} else {
    const queue = new Queue(NAME, { connection });
    await queue.waitUntilReady();
    const job = (id, slot) => ({
        name: "call",
        data: { id },
        opts: { delay: Math.max(slot - Date.now(), 0) },
    });
    await serve({
        createOne: (id, slot) => {
            const { name, data, opts } = job(id, slot);
            return queue.add(name, data, opts);
        },
        createMany: (jobs) => queue.addBulk(jobs.map(([id, slot]) => job(id, slot))),
        createRecurring: (id, slot) =>
            queue.upsertJobScheduler(
                id,
                { pattern: "* * * * * *", startDate: slot },
                { name: "call", data: { id, recurs: true } },
            ),
    });
}

/** The id of a job that recurs ends in its slot, `…:MILLISECONDS`. */
function slotOf(id) {
    return Number(id.split(":").at(-1));
}
