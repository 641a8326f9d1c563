// Verifies one delivery with the standard's own library for JavaScript.
//
// Reads {secret, headers, body} from stdin. Writes {event} or {error} to stdout.

const fs = require("node:fs");
const { Webhook } = require("standardwebhooks");

const { secret, headers, body } = JSON.parse(fs.readFileSync(0, "utf8"));
let result;
try {
  result = { event: new Webhook(secret).verify(body, headers) };
} catch (error) {
  result = { error: error.message };
}
process.stdout.write(JSON.stringify(result));
