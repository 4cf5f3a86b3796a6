export { canonicalJson } from "./canonical.ts";
export {
  chainEntry,
  sha256Hex,
  verifyChain,
  type ChainEntry,
  type ChainHead,
  type HistoryDraft,
} from "./chain.ts";
