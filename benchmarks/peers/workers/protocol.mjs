// What protocol.py says, for the peers that are written for Node.

import http from "node:http";
import readline from "node:readline";

const CLIENTS = 32;
const TOGETHER = 1000;
const SOCKETS = 64;

export const [role, store, target] = process.argv.slice(2);

export function ready() {
    console.log("ready");
}

/**
 * Create what each line of standard input names, and print how many seconds that took.
 *
 * @param createOne takes an id and a slot in milliseconds since 1970
 * @param createMany takes up to TOGETHER such pairs
 * @param createRecurring takes what createOne takes: the first of a slot each second
 */
export async function serve({ createOne, createMany, createRecurring }) {
    ready();
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const plan = JSON.parse(line);
        const jobs = plan.jobs.map(([id, slot]) => [id, slot * 1000]);
        const began = performance.now();
        if (plan.every_second) {
            await each(jobs, createRecurring);
        } else if (plan.one_by_one) {
            await each(jobs, createOne);
        } else {
            for (let first = 0; first < jobs.length; first += TOGETHER) {
                await createMany(jobs.slice(first, first + TOGETHER));
            }
        }
        console.log((performance.now() - began) / 1000);
    }
    process.exit(0); // whatever a peer still holds open
}

async function each(jobs, create) {
    const waiting = jobs.values(); // shared, so that each job goes to the next client that is free
    const client = async () => {
        for (const [id, slot] of waiting) await create(id, slot);
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
}

const agent = new http.Agent({ keepAlive: true, maxSockets: SOCKETS });

/** Call the sink; the slot, in milliseconds since 1970, is told where the peer knows it. */
export function call(id, slot) {
    const headers = { "Punctual-Job-Id": id };
    if (slot !== undefined) headers["Punctual-Scheduled-At"] = new Date(slot).toISOString();
    return new Promise((resolve, reject) => {
        const request = http.request(target, { method: "POST", agent, headers }, (answer) => {
            answer.resume();
            answer.once("end", resolve);
        });
        request.once("error", reject);
        request.end();
    });
}
