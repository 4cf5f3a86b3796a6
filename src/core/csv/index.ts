export { csvRows, type CsvRow } from "./csv.ts";
