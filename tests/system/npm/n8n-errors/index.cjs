// The two errors that the node raises, in place of the whole of n8n.

class NodeOperationError extends Error {
  constructor(node, message) {
    super(message);
    this.name = "NodeOperationError";
  }
}

class NodeApiError extends Error {
  constructor(node, cause, { message } = {}) {
    super(message ?? cause.message, { cause });
    this.name = "NodeApiError";
  }
}

module.exports = { NodeApiError, NodeOperationError };
