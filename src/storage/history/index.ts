export { canonicalJson } from "./canonical.ts";
export {
  chainEntry,
  sha256Hex,
  verifyChain,
  type ChainEntry,
  type ChainHead,
  type ChainVerdict,
  type HashText,
  type HistoryDraft,
} from "./chain.ts";
