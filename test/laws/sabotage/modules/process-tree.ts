/** A managed server's law taken out: of a server that ends only itself is ended. */
import { ProcessTree as Original } from "../../../../src/link/process-tree/process-tree.ts";

// What the sabotage does not replace.
export * from "../../../../src/link/process-tree/process-tree.ts";

export class ProcessTree extends Original {
  readonly #pid: number;

  constructor(root: number, mark: string) {
    super(root, mark);
    this.#pid = root;
  }

  override end(): Promise<void> {
    try {
      process.kill(this.#pid, "SIGKILL");
    } catch {
      // It has ended.
    }
    return Promise.resolve();
  }
}

export function markedProcesses(): number[] {
  return [];
}
