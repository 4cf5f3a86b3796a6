export {
  endProcesses,
  isRunning,
  markedProcesses,
  PROCESS_MARK,
  ProcessTree,
} from "./process-tree.ts";
