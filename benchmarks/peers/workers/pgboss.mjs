// pg-boss: jobs in PostgreSQL, a thousand with each fetch, all of them called side by side.

import { PgBoss } from "pg-boss";
import { call, ready, role, serve, store } from "./protocol.mjs";

// Looks for jobs as often as it can be told to. By default it fetches one job every 2 s.
const WORK = { pollingIntervalSeconds: 0.5, batchSize: 1000, burstWhenBatchFull: true };
const NAME = "calls";

const boss = new PgBoss(store);
boss.on("error", console.error);
await boss.start();

if (role === "worker") {
    await boss.createQueue(NAME);
    await boss.work(NAME, WORK, (jobs) => Promise.all(jobs.map(({ data }) => call(data.id))));
    ready();
} else {
    await serve({
        createOne: (id, slot) => boss.send(NAME, { id }, { startAfter: new Date(slot) }),
        createMany: (jobs) =>
            boss.insert(
                NAME,
                jobs.map(([id, slot]) => ({ data: { id }, startAfter: new Date(slot) })),
            ),
    });
}
