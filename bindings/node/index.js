// Strongroom for Node: stores, tenants, collections, batches, snapshots, scans and streams over the native half.
'use strict';

const { pipeline } = require('node:stream/promises');

const native = require('./build/strongroom.node');
const { PutStream, ValueStream } = require('./streams');

class StrongroomError extends Error {
  constructor(message, kind, number, retryable, osCode) {
    super(message);
    this.kind = kind;
    this.number = number;
    this.retryable = retryable;
    this.osCode = osCode;
    this.code = `STRONGROOM_${kind.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()}`;
  }
}
StrongroomError.prototype.name = 'StrongroomError';
native.setErrorClass(StrongroomError);

// Node 18 has neither.
const dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

const DURABILITIES = { durable: 1, buffered: 2 };

function durabilityOf(name) {
  if (!Object.hasOwn(DURABILITIES, name)) throw new TypeError(`durability is 'durable' or 'buffered', not ${name}`);
  return DURABILITIES[name];
}

function durability(options) {
  const name = options?.durability;
  return name === undefined ? options : { ...options, durability: durabilityOf(name) };
}

/** Options of a put as the native half wants them. */
function putOptions(options) {
  if (options === undefined) return undefined;
  const { subject, index, ifAbsent, ifVersion, writtenMs, ttlMs, expiresMs } = options;
  // What most puts say goes over as a number.
  if (options.durability !== undefined && subject === undefined && index === undefined && ifAbsent === undefined &&
    ifVersion === undefined && writtenMs === undefined && ttlMs === undefined && expiresMs === undefined) {
    return durabilityOf(options.durability);
  }
  if (subject === undefined && index === undefined) return durability(options);
  const indexKeys = Object.entries(index ?? {}).flatMap(([name, keys]) =>
    (Array.isArray(keys) ? keys : [keys]).flatMap((key) => [name, key]));
  return { ...durability(options), subject, indexKeys, hasMore: true };
}

/** Promises of what throws at once, as a call with wrong arguments does. */
async function later(call) {
  return call();
}

/** Bounds as the native half wants them, and back. */
const bounds = (quota) => [quota?.records ?? -1, quota?.bytes ?? -1];
const quotaOf = ([records, bytes]) => ({
  ...(records >= 0 && { records }),
  ...(bytes >= 0 && { bytes }),
});
const times = (policy) => [policy?.retentionMs ?? 0, policy?.maximumMs ?? 0, policy?.removalWindowMs ?? 0];
const policyOf = ([retentionMs, maximumMs, removalWindowMs]) => ({
  ...(removalWindowMs > 0 && { removalWindowMs }),
  ...(retentionMs > 0 && { retentionMs }),
  ...(maximumMs > 0 && { maximumMs }),
});
const usageOf = ([records, bytes]) => ({ records, bytes });
const DATA_KEY_STATES = ['current', 'older', 'destroyed'];

function configuration(options) {
  const flat = { ...durability(options), keyFiles: [], passphrases: [], regions: [], withoutBackground: options.background === false };
  const providers = options.keys?.keyFile !== undefined || options.keys?.passphrase !== undefined
    ? { default: options.keys }
    : options.keys ?? {};
  for (const [name, provider] of Object.entries(providers)) {
    if (provider.keyFile !== undefined) {
      flat.keyFiles.push([name, provider.keyFile, provider.groupRead ? 'group' : undefined]);
    } else {
      flat.passphrases.push([name, provider.passphrase]);
      flat.passphraseMemoryKib = provider.memoryKib;
      flat.passphrasePasses = provider.passes;
      flat.passphraseLanes = provider.lanes;
    }
  }
  for (const [name, region] of Object.entries(options.regions ?? {})) {
    flat.regions.push([name, region.root, region.keys]);
  }
  return flat;
}

class Store {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  static createSync(path, options) {
    return new Store(native.open(true, path, configuration(options), false));
  }

  static openSync(path, options) {
    return new Store(native.open(false, path, configuration(options), false));
  }

  static async create(path, options) {
    return new Store(await native.open(true, path, configuration(options), true));
  }

  static async open(path, options) {
    return new Store(await native.open(false, path, configuration(options), true));
  }

  /** What the process that has a store open published of its health. */
  static publishedHealthSync(path) {
    const [json, ageMs] = native.publishedHealth(path);
    return { health: JSON.parse(json.toString()), ageMs };
  }

  createTenantSync(name, options = {}) {
    return new Tenant(native.tenant(this.#handle, name, options, false));
  }

  async createTenant(name, options = {}) {
    return new Tenant(await native.tenant(this.#handle, name, options, true));
  }

  tenantSync(name) {
    return new Tenant(native.tenant(this.#handle, name, null, false));
  }

  async tenant(name) {
    return new Tenant(await native.tenant(this.#handle, name, null, true));
  }

  tenants() {
    return native.tenants(this.#handle);
  }

  regions() {
    return native.regions(this.#handle);
  }

  lanes() {
    return native.lanes(this.#handle);
  }

  openTenants() {
    return native.openTenants(this.#handle);
  }

  confirmClockSync() {
    native.confirmClock(this.#handle, false);
  }

  confirmClock() {
    return later(() => native.confirmClock(this.#handle, true));
  }

  verifySync(tenant) {
    return native.verify(this.#handle, tenant, false);
  }

  verify(tenant) {
    return later(() => native.verify(this.#handle, tenant, true));
  }

  sweepSync(tenant) {
    return native.sweep(this.#handle, tenant, false);
  }

  sweep(tenant) {
    return later(() => native.sweep(this.#handle, tenant, true));
  }

  health() {
    return JSON.parse(native.health(this.#handle).toString());
  }

  flushSync() {
    native.flush(this.#handle, false);
  }

  flush() {
    return later(() => native.flush(this.#handle, true));
  }

  tickSync() {
    native.tick(this.#handle, false);
  }

  checkpointSync() {
    native.checkpoint(this.#handle, false);
  }

  checkpoint() {
    return later(() => native.checkpoint(this.#handle, true));
  }

  closeSync() {
    native.close(this.#handle, false);
  }

  close() {
    return later(() => native.close(this.#handle, true));
  }

  [dispose]() {
    this.closeSync();
  }

  [asyncDispose]() {
    return this.close();
  }
}

class Tenant {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  collection(name) {
    return new Collection(native.collection(this.#handle, name), this.#handle);
  }

  collections() {
    return native.collections(this.#handle);
  }

  createCollectionSync(name) {
    native.changeCollection(this.#handle, 0, name, null, false);
  }

  createCollection(name) {
    return later(() => native.changeCollection(this.#handle, 0, name, null, true));
  }

  dropCollectionSync(name) {
    native.changeCollection(this.#handle, 1, name, null, false);
  }

  dropCollection(name) {
    return later(() => native.changeCollection(this.#handle, 1, name, null, true));
  }

  renameCollectionSync(from, to) {
    native.changeCollection(this.#handle, 2, from, to, false);
  }

  renameCollection(from, to) {
    return later(() => native.changeCollection(this.#handle, 2, from, to, true));
  }

  policySync() {
    return policyOf(native.getPolicy(this.#handle, null));
  }

  setPolicySync(policy) {
    native.setPolicy(this.#handle, null, ...times(policy), false);
  }

  setPolicy(policy) {
    return later(() => native.setPolicy(this.#handle, null, ...times(policy), true));
  }

  quotaSync() {
    return quotaOf(native.getQuota(this.#handle, null));
  }

  setQuotaSync(quota) {
    native.setQuota(this.#handle, null, ...bounds(quota), false);
  }

  setQuota(quota) {
    return later(() => native.setQuota(this.#handle, null, ...bounds(quota), true));
  }

  usageSync() {
    return usageOf(native.usage(this.#handle, null, false));
  }

  async usage() {
    return usageOf(await native.usage(this.#handle, null, true));
  }

  dataKeys() {
    return native.dataKeys(this.#handle).map((key) => ({ ...key, state: DATA_KEY_STATES[key.state] }));
  }

  rotateDataKeySync() {
    return native.rotateDataKey(this.#handle, false);
  }

  rotateDataKey() {
    return later(() => native.rotateDataKey(this.#handle, true));
  }

  rekeySync(options) {
    return native.rekey(this.#handle, options?.records ?? 0, options?.recordsPerSecond ?? 0, false);
  }

  rekey(options) {
    return later(() => native.rekey(this.#handle, options?.records ?? 0, options?.recordsPerSecond ?? 0, true));
  }

  retireDataKeySync(generation) {
    native.retireDataKey(this.#handle, generation, false);
  }

  retireDataKey(generation) {
    return later(() => native.retireDataKey(this.#handle, generation, true));
  }

  eraseSubjectSync(subject) {
    return native.eraseSubject(this.#handle, subject, false);
  }

  eraseSubject(subject) {
    return later(() => native.eraseSubject(this.#handle, subject, true));
  }

  batch() {
    return new Batch(native.batch(this.#handle));
  }

  snapshot() {
    return new Snapshot(native.snapshot(this.#handle));
  }

  rewriteSync() {
    return native.rewrite(this.#handle, false);
  }

  rewrite() {
    return later(() => native.rewrite(this.#handle, true));
  }
}

class Collection {
  #handle;
  #tenant;

  constructor(handle, tenant) {
    this.#handle = handle;
    this.#tenant = tenant;
  }

  /** The native handle, for batches and snapshots of this package. */
  static handleOf(collection) {
    if (!(collection instanceof Collection)) throw new TypeError('a collection is expected');
    return collection.#handle;
  }

  getSync(key) {
    return native.get(this.#handle, null, key, false);
  }

  get(key) {
    return later(() => native.get(this.#handle, null, key, true));
  }

  getIntoSync(key, buffer) {
    const length = native.getInto(this.#handle, key, buffer);
    return length < 0 ? null : length;
  }

  putSync(key, value, options) {
    return native.put(this.#handle, key, value, putOptions(options));
  }

  put(key, value, options) {
    return later(() => {
      const batch = native.batch(this.#tenant);
      native.batchPut(batch, this.#handle, key, value, putOptions(options));
      const made = native.write(batch, true);
      native.free(batch);
      return made;
    });
  }

  eraseSync(key, options) {
    return native.erase(this.#handle, key, options?.ifVersion, false);
  }

  erase(key, options) {
    return later(() => native.erase(this.#handle, key, options?.ifVersion, true));
  }

  eraseRangeSync(from, to) {
    return native.eraseRange(this.#handle, from, to, false);
  }

  eraseRange(from, to) {
    return later(() => native.eraseRange(this.#handle, from, to, true));
  }

  erasePrefixSync(prefix) {
    return native.erasePrefix(this.#handle, prefix, false);
  }

  erasePrefix(prefix) {
    return later(() => native.erasePrefix(this.#handle, prefix, true));
  }

  removeSync(key, options) {
    return native.remove(this.#handle, key, options?.ifVersion, false);
  }

  remove(key, options) {
    return later(() => native.remove(this.#handle, key, options?.ifVersion, true));
  }

  removePrefixSync(prefix) {
    return native.removePrefix(this.#handle, prefix, false);
  }

  removePrefix(prefix) {
    return later(() => native.removePrefix(this.#handle, prefix, true));
  }

  restoreSync(key, options) {
    return native.restore(this.#handle, key, options?.version, false);
  }

  restore(key, options) {
    return later(() => native.restore(this.#handle, key, options?.version, true));
  }

  restorePrefixSync(prefix) {
    return native.restorePrefix(this.#handle, prefix, false);
  }

  restorePrefix(prefix) {
    return later(() => native.restorePrefix(this.#handle, prefix, true));
  }

  removedSync(options) {
    return native.removed(this.#handle, options, options?.after);
  }

  infoSync(key) {
    return native.info(this.#handle, null, key, false);
  }

  info(key) {
    return later(() => native.info(this.#handle, null, key, true));
  }

  countSync(options) {
    return native.count(this.#handle, null, options, false);
  }

  count(options) {
    return later(() => native.count(this.#handle, null, options, true));
  }

  scan(options) {
    return new Scan(native.scan(this.#handle, null, options));
  }

  getRangeSync(key, offset, size) {
    return native.getRange(this.#handle, key, offset, size, false);
  }

  getRange(key, offset, size) {
    return later(() => native.getRange(this.#handle, key, offset, size, true));
  }

  getReaderSync(key) {
    return Reader.of(native.reader(this.#handle, null, key, false));
  }

  async getReader(key) {
    return Reader.of(await native.reader(this.#handle, null, key, true));
  }

  createReadStream(key, options) {
    return new ValueStream(() => needed(this.getReader(key)), options);
  }

  createWriteStream(key, options) {
    return new PutStream(this, key, options);
  }

  async putStream(key, source, options) {
    const target = this.createWriteStream(key, options);
    await pipeline(source, target);
    return target.version;
  }

  beginUploadSync(key, options) {
    return new Upload(native.beginUpload(this.#handle, key, putOptions(options)));
  }

  resumeUploadSync(id) {
    return new Upload(native.resumeUpload(this.#handle, id, false));
  }

  async resumeUpload(id) {
    return new Upload(await native.resumeUpload(this.#handle, id, true));
  }

  indexes() {
    return native.indexes(this.#handle);
  }

  buildIndexSync(name, keysOf) {
    return native.buildIndex(this.#handle, name, (record) => {
      const keys = keysOf(record);
      return Array.isArray(keys) ? keys : [keys];
    });
  }

  declareIndexSync(name, options) {
    native.changeIndex(this.#handle, options?.unique ? 1 : 0, name, false);
  }

  declareIndex(name, options) {
    return later(() => native.changeIndex(this.#handle, options?.unique ? 1 : 0, name, true));
  }

  dropIndexSync(name) {
    native.changeIndex(this.#handle, 2, name, false);
  }

  dropIndex(name) {
    return later(() => native.changeIndex(this.#handle, 2, name, true));
  }

  find(index, key) {
    return new Scan(native.find(this.#handle, index, { from: key, to: key, toIncluded: true }));
  }

  findRange(index, options) {
    return new Scan(native.find(this.#handle, index, { ...options, after: undefined }));
  }

  policySync() {
    return policyOf(native.getPolicy(this.#tenant, this.#handle));
  }

  setPolicySync(policy) {
    native.setPolicy(this.#tenant, this.#handle, ...times(policy), false);
  }

  setPolicy(policy) {
    return later(() => native.setPolicy(this.#tenant, this.#handle, ...times(policy), true));
  }

  quotaSync() {
    return quotaOf(native.getQuota(this.#tenant, this.#handle));
  }

  setQuotaSync(quota) {
    native.setQuota(this.#tenant, this.#handle, ...bounds(quota), false);
  }

  setQuota(quota) {
    return later(() => native.setQuota(this.#tenant, this.#handle, ...bounds(quota), true));
  }

  usageSync() {
    return usageOf(native.usage(this.#tenant, this.#handle, false));
  }

  async usage() {
    return usageOf(await native.usage(this.#tenant, this.#handle, true));
  }

  pageSync(limit, options) {
    const scan = this.scan({ ...options, limit });
    try {
      return { records: [...scan.records()], cursor: scan.cursor() };
    } finally {
      scan.close();
    }
  }

  [Symbol.iterator]() {
    return this.scan()[Symbol.iterator]();
  }

  [Symbol.asyncIterator]() {
    return this.scan()[Symbol.asyncIterator]();
  }
}

async function needed(found) {
  const reader = await found;
  if (reader !== null) return reader;
  throw new StrongroomError('there is no such record', 'NotFound', 2, false, 0);
}

/** A value of any length, read in parts: as it was when the reader was made. */
class Reader {
  #handle;

  constructor(handle) {
    this.#handle = handle;
    this.info = native.readerInfo(handle);
  }

  static of(handle) {
    return handle === null ? null : new Reader(handle);
  }

  readAtSync(offset, size) {
    return native.readAt(this.#handle, offset, this.#within(offset, size), false);
  }

  readAt(offset, size) {
    return later(() => native.readAt(this.#handle, offset, this.#within(offset, size), true));
  }

  /** No more memory is taken than there are bytes. */
  #within(offset, size) {
    return Math.max(0, Math.min(size, this.info.valueSize - offset));
  }

  close() {
    native.free(this.#handle);
  }

  [dispose]() {
    this.close();
  }
}

/** A large value on its way into the store, in any number of sessions. */
class Upload {
  #handle;

  constructor(handle) {
    this.#handle = handle;
    this.id = native.uploadId(handle);
  }

  get durableBytes() {
    return native.durableBytes(this.#handle);
  }

  writeSync(bytes) {
    native.uploadWrite(this.#handle, bytes, false);
  }

  write(bytes) {
    return later(() => native.uploadWrite(this.#handle, bytes, true));
  }

  flushSync() {
    native.uploadFlush(this.#handle, false);
  }

  flush() {
    return later(() => native.uploadFlush(this.#handle, true));
  }

  publishSync() {
    return native.publish(this.#handle, false);
  }

  publish() {
    return later(() => native.publish(this.#handle, true));
  }

  discardSync() {
    native.discard(this.#handle, false);
  }

  discard() {
    return later(() => native.discard(this.#handle, true));
  }

  close() {
    native.free(this.#handle);
  }

  [dispose]() {
    this.close();
  }
}

/** Records in order, in pages; `for` reads them here, `for await` on another thread. */
class Scan {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  cursor() {
    return native.cursor(this.#handle);
  }

  close() {
    native.free(this.#handle);
  }

  *records() {
    for (let page; (page = native.next(this.#handle, 0, false)) !== null;) yield* page;
  }

  *[Symbol.iterator]() {
    try {
      yield* this.records();
    } finally {
      this.close();
    }
  }

  async *[Symbol.asyncIterator]() {
    try {
      for (let page; (page = await native.next(this.#handle, 0, true)) !== null;) yield* page;
    } finally {
      this.close();
    }
  }

  [dispose]() {
    this.close();
  }
}

class Batch {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  put(collection, key, value, options) {
    native.batchPut(this.#handle, Collection.handleOf(collection), key, value, putOptions(options));
    return this;
  }

  erase(collection, key, options) {
    native.batchErase(this.#handle, Collection.handleOf(collection), key, options?.ifVersion);
    return this;
  }

  require(collection, key, version) {
    native.batchRequire(this.#handle, Collection.handleOf(collection), key, version);
    return this;
  }

  get length() {
    return native.batchCount(this.#handle);
  }

  writeSync() {
    return native.write(this.#handle, false);
  }

  write() {
    return later(() => native.write(this.#handle, true));
  }
}

class Snapshot {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  getSync(collection, key) {
    return native.get(Collection.handleOf(collection), this.#handle, key, false);
  }

  get(collection, key) {
    return later(() => native.get(Collection.handleOf(collection), this.#handle, key, true));
  }

  info(collection, key) {
    return later(() => native.info(Collection.handleOf(collection), this.#handle, key, true));
  }

  infoSync(collection, key) {
    return native.info(Collection.handleOf(collection), this.#handle, key, false);
  }

  countSync(collection, options) {
    return native.count(Collection.handleOf(collection), this.#handle, options, false);
  }

  count(collection, options) {
    return later(() => native.count(Collection.handleOf(collection), this.#handle, options, true));
  }

  collections() {
    return native.snapshotCollections(this.#handle);
  }

  async getReader(collection, key) {
    return Reader.of(await native.reader(Collection.handleOf(collection), this.#handle, key, true));
  }

  createReadStream(collection, key, options) {
    return new ValueStream(() => needed(this.getReader(collection, key)), options);
  }

  scan(collection, options) {
    return new Scan(native.scan(Collection.handleOf(collection), this.#handle, options));
  }

  close() {
    native.free(this.#handle);
  }

  [dispose]() {
    this.close();
  }
}

module.exports = { Batch, Collection, Reader, Scan, Snapshot, Store, StrongroomError, Tenant, Upload };
