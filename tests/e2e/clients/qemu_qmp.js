// SPDX-License-Identifier: Apache-2.0
// The same by npm's qemu-qmp.
const QMP = require("qemu-qmp");

const qmp = new QMP();

function execute(command) {
  return new Promise((resolve, reject) => qmp.execute(command,
    (error, value) => (error ? reject(error) : resolve(value))));
}

async function main() {
  console.log("status:", (await execute("query-status")).status);
  await execute("no-such-command").catch((error) => console.log(`error: ${error}`));
  const resumed = new Promise((resolve) => qmp.on("resume", resolve));
  await execute("cont");
  console.log("event:", await resumed);
  qmp.end();
  console.log("done");
}

qmp.connect(process.argv[2], (error) => (error ? console.log(error) : main()));
