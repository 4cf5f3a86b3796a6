// The first step of every npm script. Plain JavaScript on purpose: it has to run, and to say
// something useful, on a Node that is too old for everything else here.
const wanted = 24;
const major = Number(process.versions.node.split(".")[0]);
if (major < wanted) {
  process.stderr.write(
    `lastgood needs Node ${wanted} or newer; this is ${process.version} (${process.execPath}).\n` +
      "Run it through npm (`npm ci`, then `npm test`): in a checkout npm finds the pinned Node\n" +
      "in node_modules/.bin by itself on Linux x64. Elsewhere put Node 24 first in PATH.\n",
  );
  process.exit(1);
}
