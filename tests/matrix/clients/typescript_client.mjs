// One conversation by a TypeScript client: typescript_client.mjs PACKAGES KIND URL CALLS; prints as python_client.py does.
// KIND: ts1 (@modelcontextprotocol/sdk), ts1-sse, ts2 (@modelcontextprotocol/client).
import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";

const [packages, kind, url, calls] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${packages}/node_modules/@modelcontextprotocol/${path}`));

function digest(value) {
  const { _meta, ...rest } = value;
  return createHash("sha256").update(JSON.stringify(rest)).digest("hex").slice(0, 12);
}

async function connect() {
  const info = { name: `matrix-${kind}`, version: "1.0.0" };
  if (kind === "ts2") {
    const { Client, StreamableHTTPClientTransport } = await load("client/dist/index.mjs");
    const client = new Client(info);
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
    return client;
  }
  const { Client } = await load("sdk/dist/esm/client/index.js");
  const { StreamableHTTPClientTransport } = await load("sdk/dist/esm/client/streamableHttp.js");
  const { SSEClientTransport } = await load("sdk/dist/esm/client/sse.js");
  const Transport = kind === "ts1-sse" ? SSEClientTransport : StreamableHTTPClientTransport;
  const client = new Client(info);
  await client.connect(new Transport(new URL(url)));
  return client;
}

async function ask(method, target, call) {
  try {
    const found = await call();
    return [method, target, found.isError ? "tool_error" : "ok", digest(found)];
  } catch (error) {
    return [method, target, "rpc_error", error.constructor.name];
  }
}

const client = await connect();
const done = [await ask("tools/list", null, () => client.listTools())];
for (const [name, args] of JSON.parse(calls)) {
  done.push(await ask("tools/call", name, () => client.callTool({ name, arguments: args })));
}
await client.close();
console.log(JSON.stringify(done));
process.exit(0);
