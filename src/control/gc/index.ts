export { GarbageCollector, type GarbageDependencies } from "./garbage-collector.ts";
