// The document service with Express: see ../README.md.
'use strict';

const { existsSync } = require('node:fs');
const path = require('node:path');
const { pipeline } = require('node:stream/promises');
const express = require('express');
const { Store, StrongroomError } = require('../../node');

const STATUSES = {
  InvalidArgument: 400,
  NotFound: 404,
  AlreadyExists: 409,
  Conflict: 409,
  Held: 409,
  LimitExceeded: 413,
  Busy: 503,
  KeyUnavailable: 503,
  Unavailable: 503,
  Suspended: 503,
};
const PAGE = 100;
const TAG = 'tag';
// Bytes of a document that are on their way at a time.
const PART = 1 << 18;

function missing(response, what) {
  response.status(404).json({ error: 'NotFound', message: `there is no such ${what}` });
}

function malformed(response) {
  response.status(400).json({ error: 'InvalidArgument', message: 'give {"days": a number}' });
}

/** A value as it was when the reader was made, part by part. */
async function* partsOf(reader) {
  for (let offset = 0; offset < reader.info.valueSize; offset += PART) yield await reader.readAt(offset, PART);
}

async function tenantOf(store, name) {
  try {
    return await store.tenant(name);
  } catch (error) {
    if (error.kind !== 'NotFound') throw error;
    return store.createTenant(name);
  }
}

function application(store, tokens) {
  const app = express();
  const documents = (request) => request.tenant.collection(request.params.collection);
  const keyOf = (request) => request.params.key.join('/');

  app.get('/health', (request, response) => {
    const health = store.health();
    response.status(health.good ? 200 : 503).json(health);
  });

  app.use(async (request, response, next) => {
    const name = tokens[(request.get('authorization') ?? '').replace(/^Bearer /, '')];
    if (name === undefined) {
      response.status(401).json({ error: 'Unauthorized', message: 'give a token that is known' });
      return;
    }
    request.tenant = await tenantOf(store, name);
    next();
  });

  app.put('/documents/:collection/*key', async (request, response) => {
    const tag = request.get('x-tag');
    const chosen = documents(request);
    if (tag !== undefined) await chosen.declareIndex(TAG);
    const version = await chosen.putStream(keyOf(request), request, {
      ifAbsent: request.get('if-none-match') === '*',
      index: tag === undefined ? undefined : { [TAG]: tag },
    });
    response.status(201).json({ version: `${version.timeline}.${version.sequence}` });
  });

  app.get('/documents/:collection/*key', async (request, response) => {
    const reader = await documents(request).getReader(keyOf(request));
    if (reader === null) return missing(response, 'document');
    response.set({ 'Content-Type': 'application/octet-stream', 'Content-Length': `${reader.info.valueSize}` });
    try {
      await pipeline(partsOf(reader), response);
    } finally {
      reader.close();
    }
  });

  app.get('/documents/:collection', (request, response) => {
    const { tag, prefix, after } = request.query;
    const chosen = documents(request);
    let records;
    let cursor = null;
    if (tag !== undefined) {
      records = [];
      for (const record of chosen.find(TAG, tag)) {
        if (records.push(record) === PAGE) break;
      }
    } else {
      const options = { prefix: prefix ?? '', after: after && Buffer.from(after, 'base64url'), keysOnly: true };
      ({ records, cursor } = chosen.pageSync(PAGE, options));
    }
    response.json({
      documents: records.map(({ key, valueSize, expiresMs }) => ({ key: key.toString(), size: valueSize, expires_ms: expiresMs })),
      cursor: cursor && cursor.toString('base64url'),
    });
  });

  app.delete('/documents/:collection/*key', async (request, response) => {
    const chosen = documents(request);
    const erase = request.query.erase === 'true';
    const existed = erase ? await chosen.erase(keyOf(request)) : await chosen.remove(keyOf(request));
    if (!existed) return missing(response, 'document');
    response.status(204).end();
  });

  app.post('/documents/:collection/*key/restore', async (request, response) => {
    if (!(await documents(request).restore(keyOf(request)))) return missing(response, 'removed document');
    response.status(204).end();
  });

  app.put('/retention/:collection', express.json({ type: () => true }), async (request, response) => {
    const days = request.body?.days;
    if (!Number.isInteger(days) || days <= 0 || days >= 2 ** 32) return malformed(response);
    await documents(request).setPolicy({ retentionMs: days * 86_400_000 });
    response.status(204).end();
  });

  // Express knows an error handler by its four parameters.
  app.use((error, request, response, next) => {
    if (error.type === 'entity.parse.failed') return malformed(response);
    if (response.headersSent || !(error instanceof StrongroomError)) return next(error);
    response.status(STATUSES[error.kind] ?? 500).json({ error: error.kind, message: error.message });
  });
  return app;
}

async function main() {
  const [directory, port] = process.argv.slice(2);
  const data = path.join(directory, 'data');
  const options = { keys: { keyFile: path.join(directory, 'root-key') } };
  const store = existsSync(data) ? await Store.open(data, options) : await Store.create(data, options);
  application(store, JSON.parse(process.env.TOKENS)).listen(Number(port), '127.0.0.1');
}

main();
