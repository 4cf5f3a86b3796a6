export {
  claimProcess,
  claimSocket,
  processLog,
  type Claim,
  type ClaimedProcess,
} from "./claim-process.ts";
export { inodeOf, OrphanWatch } from "./orphan-watch.ts";
