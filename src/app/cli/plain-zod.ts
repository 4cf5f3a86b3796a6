import * as z from "zod";

// zod compiles a function per schema for those who parse often; a command line parses once.
z.config({ jitless: true });
