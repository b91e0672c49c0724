/** What sealing and opening a frame costs with each suite, by native/bench/seal-bench.cc. */
import { join } from "node:path";
import { REPOSITORY } from "../netns/lab.ts";
import { run } from "../netns/programs.ts";

/** Nanoseconds a frame, of 64 and of 1,400 octets. */
export type SuiteCost = {
  readonly suite: string;
  readonly seal64Ns: number;
  readonly seal1400Ns: number;
  readonly open64Ns: number;
  readonly open1400Ns: number;
};

const SEAL_BENCH = join(REPOSITORY, "native/build/release/seal-bench");
const ROW = /^([a-z0-9-]+) +(\d+) +(\d+) +(\d+) +(\d+)$/;

export async function measureSuites(): Promise<SuiteCost[]> {
  const costs = (await run(SEAL_BENCH, [])).split("\n").flatMap((line): SuiteCost[] => {
    const [, suite, ...values] = ROW.exec(line.trimEnd()) ?? [];
    const [seal64Ns = 0, seal1400Ns = 0, open64Ns = 0, open1400Ns = 0] = values.map(Number);
    return suite === undefined ? [] : [{ suite, seal64Ns, seal1400Ns, open64Ns, open1400Ns }];
  });
  if (costs.length === 0) {
    throw new Error(`${SEAL_BENCH} printed no suite`);
  }
  return costs;
}
