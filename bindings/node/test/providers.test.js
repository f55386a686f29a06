// Key providers written in JavaScript: what they give and throw, and calls at once and by promises that need them.
'use strict';

const assert = require('node:assert/strict');
const { createCipheriv, createDecipheriv, randomBytes } = require('node:crypto');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const { ProviderAlreadyExists, ProviderDenied, ProviderRetryable, Store } = require('..');
const { folder, kind } = require('./support');

/** Wraps by AES-256-GCM, bound to the context. `failure` is thrown, `wrapped` and `unwrapped` change what is given. */
class Kms {
  root = randomBytes(32);
  calls = [];
  wrapped = (bytes) => bytes;
  unwrapped = (bytes) => bytes;

  #called(name, context) {
    this.calls.push([name, context?.section]);
    if (this.failure) throw this.failure;
  }

  create() {
    this.#called('create');
  }

  wrap(key, context) {
    this.#called('wrap', context);
    this.lastKey = key;
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.root, nonce).setAAD(context.bytes);
    return this.wrapped(Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]));
  }

  unwrap(wrapped, context) {
    this.#called('unwrap', context);
    const decipher = createDecipheriv('aes-256-gcm', this.root, wrapped.subarray(0, 12)).setAAD(context.bytes);
    decipher.setAuthTag(wrapped.subarray(-16));
    return this.unwrapped(Buffer.concat([decipher.update(wrapped.subarray(12, -16)), decipher.final()]));
  }
}

const turn = () => new Promise(setImmediate);

/** The same, by promises that take a turn of the event loop. */
const slowly = (kms) => ({
  create: async () => { await turn(); kms.create(); },
  wrap: async (key, context) => { await turn(); return kms.wrap(key, context); },
  unwrap: async (wrapped, context) => { await turn(); return kms.unwrap(wrapped, context); },
});

const denied = (error) => error.kind === 'KeyUnavailable' && !error.retryable;
const unreachable = (error) => error.kind === 'KeyUnavailable' && error.retryable;

/** A store whose keys a provider wraps, with a record, closed again. */
function closedStore(kms) {
  const data = path.join(folder(), 'data');
  const store = Store.createSync(data, { keys: kms });
  store.createTenantSync('acme').collection('c').putSync('k', 'v');
  store.closeSync();
  return data;
}

test('a provider answers calls at once, on the same thread', () => {
  const kms = new Kms();
  const data = closedStore(kms);
  assert.deepEqual(kms.calls[0], ['create', undefined]);
  assert.deepEqual(kms.lastKey, Buffer.alloc(32), 'a key that was wrapped stays in memory');
  kms.calls.length = 0;
  const store = Store.openSync(data, { keys: { default: kms } });
  const collection = store.tenantSync('acme').collection('c');
  assert.ok(kms.calls.every(([name, section]) => name === 'unwrap' && section === 1), 'content keys before they are needed');
  assert.equal(collection.getSync('k').toString(), 'v');
  assert.ok(kms.calls.some(([, section]) => section === 2));
  for (let n = 0; n < 50; n++) collection.putSync(`${n}`, 'v', { durability: 'buffered' });
  assert.equal([...collection.scan()].length, 51);
  assert.throws(() => collection.buildIndexSync('i', () => []), TypeError);
  store.closeSync();
  assert.throws(() => Store.openSync(data, { keys: new Kms() }), denied);
});

test('a provider answers promises while the event loop goes on', async () => {
  const kms = new Kms();
  const data = closedStore(kms);
  const store = await Store.open(data, { keys: slowly(kms) });
  const collection = (await store.tenant('acme')).collection('c');
  const values = await Promise.all(Array.from({ length: 20 }, () => collection.get('k')));
  assert.ok(values.every((value) => value.toString() === 'v'));
  assert.equal(collection.getSync('k').toString(), 'v', 'keys that are there need nobody');
  const tenants = await Promise.all(Array.from({ length: 20 }, (_, n) => store.createTenant(`t${n}`)));
  await Promise.all(tenants.map((tenant) => tenant.collection('c').put('k', 'v')));
  await store.close();
});

test('what a provider throws becomes the kind of the error, its text the reason', async () => {
  const kms = new Kms();
  kms.failure = new ProviderAlreadyExists('the key is there');
  assert.throws(() => Store.createSync(path.join(folder(), 'data'), { keys: kms }), kind('AlreadyExists'));
  kms.failure = undefined;
  const data = closedStore(kms);
  const cases = [
    [new ProviderDenied('no permission'), denied],
    [new ProviderRetryable('no network'), unreachable],
    [new TypeError('a mistake of its own'), denied],
    [new ProviderDenied('lang '.repeat(1000)), denied],
    [undefined, null],
  ];
  for (const [failure, check] of cases) {
    kms.failure = failure;
    for (const keys of [kms, slowly(kms)]) {
      if (!check) {
        await (await Store.open(data, { keys })).close();
        continue;
      }
      const reason = new RegExp(failure.message.slice(0, 40));
      if (keys === kms) assert.throws(() => Store.openSync(data, { keys }), (error) => check(error) && reason.test(error.message));
      await assert.rejects(Store.open(data, { keys }), (error) => check(error) && reason.test(error.message));
    }
  }
  for (const thrown of [null, undefined, 7, { message: Symbol('x') }]) {
    const keys = { wrap() {}, unwrap() { throw thrown; } };
    assert.throws(() => Store.openSync(data, { keys }), denied);
  }
});

test('a key of another length, and what is no bytes, are refused', async () => {
  const kms = new Kms();
  const data = closedStore(kms);
  for (const given of [Buffer.alloc(31), Buffer.alloc(33), Buffer.alloc(0), Buffer.alloc(4096), 'x'.repeat(32), null, 7, {}]) {
    kms.unwrapped = () => given;
    assert.throws(() => Store.openSync(data, { keys: kms }), denied);
    await assert.rejects(Store.open(data, { keys: slowly(kms) }), denied);
  }
  kms.unwrapped = (bytes) => bytes;
  const store = Store.openSync(data, { keys: kms });
  for (const given of [Buffer.alloc(0), Buffer.alloc(1025), 'text', undefined]) {
    kms.wrapped = () => given;
    assert.throws(() => store.createTenantSync('globex'), denied);
  }
  kms.wrapped = (bytes) => bytes;
  store.createTenantSync('globex');
  store.closeSync();
});

test('a provider that never answers is given up after its time', async () => {
  const data = closedStore(new Kms());
  const never = { wrap() {}, unwrap: () => new Promise(() => {}) };
  await assert.rejects(Store.open(data, { keys: never, keyTimeoutMs: 50 }), unreachable);
  assert.throws(() => Store.openSync(data, { keys: never, keyTimeoutMs: 50 }), unreachable);
});

test('a promise that a call at once would have to wait for is refused, and nothing hangs', async () => {
  const kms = new Kms();
  const data = closedStore(kms);
  const began = process.hrtime.bigint();
  assert.throws(() => Store.openSync(data, { keys: slowly(kms), keyTimeoutMs: 60_000 }), unreachable);
  assert.ok(process.hrtime.bigint() - began < 30_000_000_000n, 'it waited for its time to run out');
  // A call at once that needs nobody does not take the promise away from the one that is under way.
  const store = await Store.open(data, { keys: slowly(kms), keyTimeoutMs: 60_000 });
  const pending = store.createTenant('globex');
  for (let n = 0; n < 20; n++) assert.ok(store.id);
  await pending;
  await store.close();
});

test('a provider that calls its own store within an answer does not hang it', () => {
  const kms = new Kms();
  const data = closedStore(kms);
  let collection, inner;
  const keys = {
    wrap: (key, context) => kms.wrap(key, context),
    unwrap: (wrapped, context) => {
      const own = collection;
      collection = undefined;
      inner = own?.getSync('k').toString() ?? inner;
      return kms.unwrap(wrapped, context);
    },
  };
  const store = Store.openSync(data, { keys, keyTimeoutMs: 200 });
  const other = collection = store.tenantSync('acme').collection('c');
  // The inner call waits for the keys that the outer one waits for, until that is given up.
  assert.throws(() => other.getSync('k'), unreachable);
  assert.deepEqual([inner, other.getSync('k').toString()], ['v', 'v']);
  store.closeSync();
});

test('maintenance asks for no content key, shows digests, and refuses records', async () => {
  const kms = new Kms();
  const data = closedStore(kms);
  kms.calls.length = 0;
  const store = await Store.open(data, { keys: slowly(kms), maintenance: 'digests' });
  const [{ name, id }] = store.tenants();
  assert.match(name, /^~[0-9a-f]{32}$/);
  const acme = await store.tenant(name);
  assert.deepEqual([acme.name, acme.id, (await store.tenant('acme')).id], [name, id, id]);
  assert.match(acme.collections()[0].name, /^~[0-9a-f]{32}$/);
  const collection = acme.collection('c');
  assert.throws(() => collection.getSync('k'), kind('KeyUnavailable'));
  await assert.rejects(collection.put('k', 'v'), kind('KeyUnavailable'));
  await assert.rejects(store.createTenant('globex'), kind('KeyUnavailable'));
  await store.checkpoint();
  assert.equal(await acme.rewrite(), true);
  await store.sweep();
  assert.equal(store.tenantStats(name).records, 1);
  const report = await store.verify();
  assert.deepEqual([report.isGood, report.records, report.recordsUnopened], [true, 0, 1]);
  await store.close();
  assert.ok(kms.calls.every(([, section]) => section === 1), 'a content key was asked for');
  const named = Store.openSync(data, { keys: kms, maintenance: 'names' });
  assert.deepEqual([named.tenants()[0].name, named.tenantSync('acme').collections()[0].name], ['acme', 'c']);
  named.closeSync();
  assert.throws(() => Store.openSync(data, { keys: kms, maintenance: 'yes' }), TypeError);
  assert.throws(() => Store.createSync(path.join(folder(), 'x'), { keys: kms, maintenance: 'names' }), kind('InvalidArgument'));
});

test('a provider whose functions are missing is refused', () => {
  const data = path.join(folder(), 'data');
  assert.throws(() => Store.createSync(data, { keys: { unwrap() {} } }), TypeError);
  assert.throws(() => Store.createSync(data, { keys: { default: { wrap() {} } } }), TypeError);
});

test('a provider is collected once nothing uses it, and a worker that ends while one is asked does no harm', async () => {
  const [data, gone] = (() => {
    const kms = new Kms();
    return [closedStore(kms), new WeakRef(kms)];
  })();
  for (let n = 0; n < 100 && gone.deref() !== undefined; n++) {
    // What was looked at is kept until the turn is over.
    await turn();
    global.gc();
    await turn();
  }
  assert.equal(gone.deref(), undefined);
  const code = `
    const { Store } = require(${JSON.stringify(path.resolve(__dirname, '..'))});
    const { parentPort } = require('node:worker_threads');
    const unwrap = () => { parentPort.postMessage('asked'); return new Promise(() => {}); };
    Store.open(${JSON.stringify(data)}, { keys: { wrap() {}, unwrap } });
    setInterval(() => {}, 1000);`;
  const worker = new Worker(code, { eval: true });
  await new Promise((resolve) => worker.once('message', resolve));
  await worker.terminate();
});
