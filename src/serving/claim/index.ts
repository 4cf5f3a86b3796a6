export {
  claimProcess,
  claimSocket,
  processLog,
  type Claim,
  type ClaimedProcess,
} from "./claim-process.ts";
export { holdClaim, type Held, type HoldingProcess } from "./hold-claim.ts";
