// Runs one operation of the node as n8n would: parameters in, its output out; what it sends goes to another base URL.
//
// Reads {url, key, authentication, node, parameters, binary, body} from stdin. Writes {output, sent, error} to stdout.

const fs = require("node:fs");

const NODES = "@heygenofficial/n8n-nodes-heygen-official/dist/nodes/Heygen";
const SERVICE = /^https:\/\/[a-z]+\.heygen\.com/;

const given = JSON.parse(fs.readFileSync(0, "utf8"));
const sent = [];

async function send({ method, url, headers, qs, body }) {
  if (!SERVICE.test(url)) throw new Error(`not the service: ${url}`);
  const target = new URL(url.replace(SERVICE, given.url));
  for (const [name, value] of Object.entries(qs ?? {})) target.searchParams.set(name, value);
  const isForm = body instanceof FormData;
  const json = body === undefined || isForm ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(target, {
    method,
    headers: { ...headers, ...json },
    body: body === undefined || isForm ? body : JSON.stringify(body),
  });
  sent.push({ method, path: target.pathname, status: answer.status, body: isForm ? null : body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  return JSON.parse(text);
}

const context = {
  getInputData: () => [{ json: {}, binary: given.binary }],
  getBodyData: () => given.body,
  getNode: () => ({ name: given.node }),
  getNodeParameter: (name, ...rest) => given.parameters[name] ?? rest.at(-1),
  getCredentials: async () => ({ apiKey: given.key, access_token: given.key }),
  continueOnFail: () => false,
  helpers: {
    httpRequest: send,
    httpRequestWithAuthentication: async (credential, request) => send(request),
  },
};

async function main() {
  const Node = require(`${NODES}/${given.node}.node.js`)[given.node];
  const node = new Node();
  return given.body === undefined ? await node.execute.call(context) : await node.webhook.call(context);
}

main()
  .then((output) => ({ output }))
  .catch((error) => ({ error: { name: error.name, message: error.message } }))
  .then((result) => process.stdout.write(JSON.stringify({ sent, ...result })));
