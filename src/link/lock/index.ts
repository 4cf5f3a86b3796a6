export { takeKernelLock, type KernelLock } from "./kernel-lock.ts";
export { listenerPid } from "./listener.ts";
