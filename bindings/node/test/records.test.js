// Records: put and get, conditions, batches, scans, snapshots; at once and as promises.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { StrongroomError } = require('..');
const { kind, store } = require('./support');

test('puts and gets at once', (t) => {
  const collection = store(t).tenant.collection('c');
  assert.equal(collection.getSync('k'), null);
  const version = collection.putSync('k', Buffer.from([0, 255]));
  assert.ok(version.sequence > 0);
  assert.deepEqual(collection.getSync(Buffer.from('k')), Buffer.from([0, 255]));
  collection.putSync('empty', '');
  assert.equal(collection.getSync('empty').length, 0);
  collection.putSync('long key '.repeat(100), 'x'.repeat(100_000));
  assert.equal(collection.getSync('long key '.repeat(100)).length, 100_000);
  collection.putSync('ü', 'ö');
  assert.equal(collection.getSync(new Uint8Array([0xc3, 0xbc])).toString(), 'ö');
  const room = Buffer.alloc(4, 7);
  assert.equal(collection.getIntoSync('k', room), 2);
  assert.deepEqual(room, Buffer.from([0, 255, 7, 7]));
  assert.equal(collection.getIntoSync('k', room.subarray(0, 1)), 2);
  assert.equal(collection.getIntoSync('none', room), null);
});

test('puts and gets as promises', async (t) => {
  const collection = store(t).tenant.collection('c');
  assert.equal(await collection.get('k'), null);
  const key = Buffer.from('k');
  const made = collection.put(key, 'v');
  key.fill(0);
  await made;
  assert.equal((await collection.get('k')).toString(), 'v');
  assert.equal(await collection.erase('k'), true);
  assert.equal(await collection.erase('k'), false);
  assert.equal(await collection.count(), 0);
});

test('conditions are errors of the kind Conflict', async (t) => {
  const collection = store(t).tenant.collection('c');
  const first = collection.putSync('k', 'one', { ifAbsent: true, writtenMs: 1700000000000, durability: 'buffered' });
  assert.throws(() => collection.putSync('k', 'two', { ifAbsent: true }), kind('Conflict'));
  await assert.rejects(collection.put('k', 'two', { ifAbsent: true }), (error) => {
    assert.ok(error instanceof StrongroomError && error instanceof Error);
    assert.deepEqual([error.kind, error.number, error.code, error.retryable, error.osCode, error.name],
      ['Conflict', 4, 'STRONGROOM_CONFLICT', false, 0, 'StrongroomError']);
    return true;
  });
  const info = collection.infoSync('k');
  assert.deepEqual(info, { version: first, writtenMs: 1700000000000, expiresMs: null, valueSize: 3 });
  const second = await collection.put('k', 'two', { ifVersion: first });
  assert.throws(() => collection.putSync('k', 'three', { ifVersion: first }), kind('Conflict'));
  assert.throws(() => collection.eraseSync('k', { ifVersion: first }), kind('Conflict'));
  assert.equal(collection.eraseSync('k', { ifVersion: second }), true);
  assert.equal(await collection.info('k'), null);
  assert.throws(() => collection.putSync('k', 'v', { durability: 'eventually' }), TypeError);
});

test('wrong arguments are errors, and nothing crashes', async (t) => {
  const { store: opened, tenant } = store(t);
  const collection = tenant.collection('c');
  assert.throws(() => collection.putSync('', 'v'), kind('InvalidArgument'));
  assert.throws(() => collection.putSync('k'.repeat(4097), 'v'), kind('LimitExceeded'));
  assert.throws(() => collection.putSync('k', Buffer.alloc(1 << 21)), kind('LimitExceeded'));
  for (const wrong of [1, {}, [], true, Symbol('s'), () => {}, new Float64Array(2), 10n]) {
    assert.throws(() => collection.putSync(wrong, 'v'), TypeError);
    assert.throws(() => collection.putSync('k', wrong), TypeError);
    await assert.rejects(collection.get(wrong), TypeError);
  }
  assert.throws(() => collection.putSync('k', undefined), kind('InvalidArgument'));
  assert.throws(() => opened.tenantSync('nobody'), kind('NotFound'));
  await assert.rejects(opened.tenant('nobody'), kind('NotFound'));
  assert.throws(() => opened.createTenantSync('acme'), kind('AlreadyExists'));
  assert.throws(() => tenant.collection(' '), kind('InvalidArgument'));
  assert.throws(() => tenant.batch().put({}, 'k', 'v'), TypeError);
});

test('names that are none, and what is closed or of another tenant, are errors', async (t) => {
  const { store: opened, tenant } = store(t);
  for (const name of ['', ' a', 'a\n', 'a\0b', 'n'.repeat(256), Buffer.from([0xff, 0xfe])]) {
    assert.throws(() => opened.createTenantSync(name), kind('InvalidArgument'));
    assert.throws(() => tenant.collection(name), kind('InvalidArgument'));
  }
  const collection = tenant.collection('c');
  const other = opened.createTenantSync('other');
  assert.throws(() => other.batch().put(collection, 'k', 'v'), kind('InvalidArgument'));
  const session = other.session();
  assert.throws(() => session.put(collection, 'k', 'v'), kind('InvalidArgument'));
  session.close();
  session.close();
  assert.throws(() => session.get(other.collection('c'), 'k'), TypeError);
  const scan = collection.scan();
  scan.close();
  assert.throws(() => [...scan.records()], TypeError);
  // A handle of another kind, or none.
  const native = require('../build/strongroom.node');
  for (const wrong of [undefined, null, 1, {}, () => {}]) {
    assert.throws(() => native.get(wrong, null, 'k', false), TypeError);
    assert.throws(() => native.checkpoint(wrong, false), TypeError);
  }
  assert.throws(() => native.get(), TypeError);
  assert.throws(() => collection.getIntoSync('k', 'text'), TypeError);
});

test('sixty-four calls of all kinds are under way at a time', async (t) => {
  const { tenant } = store(t);
  const collection = tenant.collection('c');
  const work = async (number) => {
    const key = `${number}`;
    await collection.put(key, key);
    assert.equal(`${await collection.get(key)}`, key);
    await tenant.batch().put(collection, `${key}-batch`, 'v').write();
    await assert.rejects(collection.put(key, 'v', { ifAbsent: true }), kind('Conflict'));
    const keys = [];
    for await (const record of collection.scan({ prefix: `${key}-` })) keys.push(`${record.key}`);
    assert.deepEqual(keys, [`${key}-batch`]);
    assert.equal(await collection.erase(key), true);
  };
  await Promise.all(Array.from({ length: 64 }, (_, number) => work(number)));
  assert.equal(collection.countSync(), 64);
});

test('ten thousand records cross the boundary by pages', async (t) => {
  const { tenant } = store(t);
  const collection = tenant.collection('many');
  const batch = tenant.batch();
  for (let n = 0; n < 10_000; n++) batch.put(collection, String(n).padStart(5, '0'), 'v'.repeat(100));
  await batch.write();
  const native = require('../build/strongroom.node');
  const { next } = native;
  let calls = 0;
  native.next = (...args) => {
    calls++;
    return next(...args);
  };
  t.after(() => { native.next = next; });
  let records = 0;
  for (const _ of collection.scan()) records++;
  assert.ok(records === 10_000 && calls >= 1 && calls <= 100, `${calls} calls`);
  calls = records = 0;
  for await (const _ of collection.scan()) records++;
  assert.ok(records === 10_000 && calls >= 1 && calls <= 100, `${calls} calls`);
});

test('a batch is made whole or not at all', async (t) => {
  const { tenant } = store(t);
  const [a, b] = [tenant.collection('a'), tenant.collection('b')];
  const batch = tenant.batch().put(a, '1', 'x').put(b, '1', 'y');
  assert.equal(batch.length, 2);
  await batch.write();
  assert.equal(batch.length, 0);
  assert.equal(b.getSync('1').toString(), 'y');
  batch.require(a, '1', null).put(a, '2', 'x');
  await assert.rejects(batch.write(), kind('Conflict'));
  assert.equal(a.getSync('2'), null);
  batch.erase(a, '1').require(b, '1', b.infoSync('1').version).writeSync();
  assert.equal(a.getSync('1'), null);
});

test('scans, pages and counts', async (t) => {
  const { tenant } = store(t);
  const collection = tenant.collection('c');
  const batch = tenant.batch();
  for (let n = 0; n < 1000; n++) batch.put(collection, String(n).padStart(4, '0'), `v${n}`);
  batch.writeSync();
  const expected = Array.from({ length: 1000 }, (_, n) => String(n).padStart(4, '0'));
  assert.deepEqual([...collection].map((record) => record.key.toString()), expected);
  const awaited = [];
  for await (const record of collection) awaited.push(record.key.toString());
  assert.deepEqual(awaited, expected);
  const some = [...collection.scan({ prefix: '09', reverse: true, limit: 2 })];
  assert.deepEqual(some.map((r) => [r.key.toString(), r.value.toString(), r.valueSize]), [['0999', 'v999', 4], ['0998', 'v998', 4]]);
  assert.deepEqual([...collection.scan({ from: '0010', to: '0012', keysOnly: true })].map((r) => r.value), [null, null]);
  assert.deepEqual([...collection.scan({ openAhead: 64 })].map((record) => record.key.toString()), expected);
  assert.equal(collection.countSync(), 1000);
  assert.equal(await collection.count({ prefix: '00' }), 100);
  let [seen, pages, cursor] = [[], 0, undefined];
  do {
    const page = collection.pageSync(400, { after: cursor });
    seen.push(...page.records.map((r) => r.key.toString()));
    cursor = page.cursor;
    pages++;
  } while (cursor !== null);
  assert.deepEqual([seen, pages], [expected, 3]);
  assert.throws(() => collection.pageSync(1, { after: Buffer.from('no cursor') }), kind('InvalidArgument'));
  const scan = collection.scan();
  for (const record of scan) {
    assert.ok(record);
    break;
  }
  assert.throws(() => scan.cursor(), TypeError);
  assert.deepEqual(await collection.erasePrefix('00'), { records: 100, held: 0 });
  assert.deepEqual(collection.eraseRangeSync('0500'), { records: 500, held: 0 });
  assert.equal((await collection.eraseRange(undefined, '0200')).records, 100);
  assert.equal(collection.erasePrefixSync('').records, 300);
});

test('a snapshot shows one moment', async (t) => {
  const { tenant } = store(t);
  const collection = tenant.collection('c');
  collection.putSync('k', '1');
  const snapshot = tenant.snapshot();
  collection.putSync('k', '2');
  assert.equal(snapshot.getSync(collection, 'k').toString(), '1');
  assert.equal((await snapshot.get(collection, 'k')).toString(), '1');
  assert.deepEqual([...snapshot.scan(collection)].map((r) => r.value.toString()), ['1']);
  snapshot.close();
  snapshot.close();
  assert.throws(() => snapshot.getSync(collection, 'k'), TypeError);
});

test('records are found by their keys in indexes', async (t) => {
  const people = store(t).tenant.collection('people');
  people.declareIndexSync('email', { unique: true });
  await people.declareIndex('city');
  people.putSync('1', 'Ada', { index: { email: 'a@b', city: ['Bonn', Buffer.from('Rome')] } });
  assert.throws(() => people.putSync('2', 'Eve', { index: { email: 'a@b' } }), kind('Conflict'));
  await people.put('2', 'Eve', { index: { city: 'Bonn' } });
  const keys = (scan) => [...scan].map((record) => record.key.toString());
  assert.deepEqual(keys(people.find('email', 'a@b')), ['1']);
  assert.deepEqual(keys(people.find('city', 'Bonn')), ['1', '2']);
  assert.deepEqual(keys(people.find('city', 'Bon')), []);
  assert.deepEqual(keys(people.findRange('city', { from: 'C' })), ['1']);
  assert.throws(() => people.putSync('3', 'x', { index: { city: Array(65).fill('x') } }), TypeError);
  assert.throws(() => people.putSync('3', 'x', { index: { city: 7 } }), TypeError);
  await people.dropIndex('city');
  assert.throws(() => people.dropIndexSync('city'), kind('NotFound'));
  assert.throws(() => people.find('city', 'Bonn'), kind('NotFound'));
});

test('records expire, and subjects are erased', async (t) => {
  const { store: opened, tenant } = store(t);
  const collection = tenant.collection('c');
  const hour = 3_600_000;
  await collection.setPolicy({ retentionMs: hour });
  tenant.setPolicySync({ maximumMs: 2 * hour });
  const kept = (key) => {
    const { writtenMs, expiresMs } = collection.infoSync(key);
    return expiresMs - writtenMs;
  };
  collection.putSync('a', '1');
  await collection.put('b', '2', { ttlMs: 24 * hour });
  assert.deepEqual([kept('a'), kept('b')], [hour, 2 * hour]);
  collection.putSync('past', '3', { expiresMs: 1 });
  assert.equal(collection.getSync('past'), null);
  assert.throws(() => collection.putSync('x', 'y', { ttlMs: 1, expiresMs: 1 }), kind('InvalidArgument'));
  assert.ok((await opened.sweep()).records <= 1);
  assert.deepEqual(opened.sweepSync('acme'), { records: 0, held: 0 });
  collection.putSync('s', 'secret', { subject: 'user-42' });
  assert.equal(collection.getSync('s').toString(), 'secret');
  assert.equal(await tenant.eraseSubject('user-42'), true);
  assert.equal(tenant.eraseSubjectSync('user-42'), false);
  assert.equal(collection.getSync('s'), null);
  assert.equal(typeof opened.health(), 'object');
});
