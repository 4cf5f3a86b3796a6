/** Built in place of `src/serving/gateway/count-book.ts`: nothing is counted or reported. */
import type { Count } from "../../src/link/count/index.ts";
import type { CountCell } from "../../src/serving/gateway/count-book.ts";

export type { CountAddress, CountCell } from "../../src/serving/gateway/count-book.ts";

const nothing: CountCell = Object.freeze({
  get requests() {
    return 0;
  },
  set requests(_count) {},
  get errors() {
    return 0;
  },
  set errors(_count) {},
  get rejected() {
    return 0;
  },
  set rejected(_count) {},
});

export class CountBook {
  cell(): CountCell {
    return nothing;
  }

  changed(): Count[] {
    return [];
  }
}
