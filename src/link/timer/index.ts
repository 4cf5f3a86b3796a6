export { systemTimers } from "./system-timers.ts";
