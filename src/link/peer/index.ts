export { encodeFrame, FrameReader, type Frame } from "./frame.ts";
export { ownIdentity, type PeerIdentity } from "./identity.ts";
export {
  connectPeer,
  listenPeers,
  Peer,
  type ConnectPeer,
  type ListenPeers,
  type PeerEnd,
  type PeerListener,
  type PeerOptions,
  type Reply,
  type RequestHandler,
} from "./peer.ts";
export { socketFolder } from "./socket-folder.ts";
