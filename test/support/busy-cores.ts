import { spawn, type ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";

/** Computes for a while and rests for a while, without a rhythm; ends with its parent. */
const BURSTS = `
process.stdin.on("close", () => process.exit());
process.stdin.resume();
const burst = () => {
  const until = performance.now() + 20 + 200 * Math.random();
  while (performance.now() < until);
  setTimeout(burst, 100 * Math.random());
};
burst();
`;

/** Other work on every core of the machine, in bursts, as neighbours bring it. */
export class BusyCores {
  readonly #children: readonly ChildProcess[];

  constructor() {
    this.#children = Array.from({ length: availableParallelism() }, () =>
      spawn(process.execPath, ["-e", BURSTS], { stdio: ["pipe", "ignore", "ignore"] }),
    );
  }

  stop(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }
}
