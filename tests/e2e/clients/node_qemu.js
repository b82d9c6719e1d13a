// SPDX-License-Identifier: Apache-2.0
// A client of QMP by npm's node-qemu: it connects to the socket of its argument, asks, lets
// the machine run and waits for the event, and writes a line for each.
const { QMPClient } = require("node-qemu");

async function main(path) {
  const client = new QMPClient({ socketPath: path });
  await client.connect();
  console.log("status:", (await client.queryStatus()).status);
  await client.execute("no-such-command").catch((error) => console.log(`error: ${error}`));
  const resumed = new Promise((resolve) => client.on("RESUME", resolve));
  await client.cont();
  await resumed;
  console.log("event: RESUME");
  await client.close();
  console.log("done");
}

main(process.argv[2]);
