// Large values: readers, streams, uploads that go on after a restart.
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { Readable } = require('node:stream');
const { buffer } = require('node:stream/consumers');
const { pipeline } = require('node:stream/promises');
const { test } = require('node:test');
const { Store } = require('..');
const { folder, kind, options, store } = require('./support');

const VALUE = Buffer.alloc(3_000_000);
for (let index = 0; index < VALUE.length; index++) VALUE[index] = index * 31 + (index >> 13);

/** The value in pieces of odd lengths; fails where told to. */
async function* pieces(failsAt = Infinity) {
  for (let at = 0; at < VALUE.length; at += 77_777) {
    if (at > failsAt) throw new Error('the network is gone');
    yield VALUE.subarray(at, at + 77_777);
  }
}

test('a stream becomes a value, and a value a stream', async (t) => {
  const { tenant } = store(t);
  const scans = tenant.collection('scans');
  const version = await scans.putStream('k', Readable.from(pieces()));
  assert.ok(version.sequence > 0);
  assert.deepEqual(await buffer(scans.createReadStream('k')), VALUE);
  assert.deepEqual(await buffer(scans.createReadStream('k', { start: 65_530, end: 2_000_001 })), VALUE.subarray(65_530, 2_000_001));
  assert.equal((await buffer(scans.createReadStream('k', { start: VALUE.length }))).length, 0);
  await assert.rejects(buffer(scans.createReadStream('none')), kind('NotFound'));
  const reader = await scans.getReader('k');
  assert.deepEqual([reader.info.valueSize, reader.info.version], [VALUE.length, version]);
  assert.deepEqual(reader.readAtSync(VALUE.length - 3, 100), VALUE.subarray(-3));
  assert.deepEqual(await reader.readAt(70_000, 10), VALUE.subarray(70_000, 70_010));
  assert.equal(reader.readAtSync(VALUE.length + 5, 10).length, 0);
  reader.close();
  reader.close();
  assert.throws(() => reader.readAtSync(0, 1), TypeError);
  assert.equal(scans.getReaderSync('none'), null);
  assert.deepEqual(scans.getRangeSync('k', 65_530, 12), VALUE.subarray(65_530, 65_542));
  assert.deepEqual(await scans.getRange('k', VALUE.length - 2, 12), VALUE.subarray(-2));
  assert.equal(scans.getRangeSync('none', 0, 1), null);
});

test('small and empty streams are put as any value', async (t) => {
  const { tenant } = store(t);
  const scans = tenant.collection('scans');
  await scans.putStream('small', Readable.from([Buffer.from('one '), Buffer.from('two')]), { ttlMs: 1e9 });
  await scans.putStream('empty', Readable.from([]));
  assert.equal(scans.getSync('small').toString(), 'one two');
  assert.equal(scans.infoSync('small').expiresMs - scans.infoSync('small').writtenMs, 1e9);
  assert.equal(scans.getSync('empty').length, 0);
});

test('a stream that fails puts nothing', async (t) => {
  const { tenant } = store(t);
  const scans = tenant.collection('scans');
  scans.putSync('k', 'before');
  for (const failsAt of [100, 2_000_000]) {
    await assert.rejects(scans.putStream('k', Readable.from(pieces(failsAt))), /the network/);
  }
  await assert.rejects(scans.putStream('k', Readable.from(pieces()), { ifAbsent: true }), kind('Conflict'));
  const target = scans.createWriteStream('x');
  target.write(VALUE);
  target.destroy(new Error('given up'));
  await assert.rejects(pipeline(Readable.from([]), target));
  assert.equal(scans.getSync('k').toString(), 'before');
  assert.equal(scans.getSync('x'), null);
});

test('snapshots and readers see what was', async (t) => {
  const { tenant } = store(t);
  const scans = tenant.collection('scans');
  await scans.putStream('k', Readable.from(pieces()));
  const snapshot = tenant.snapshot();
  scans.putSync('k', 'small');
  assert.deepEqual(await buffer(snapshot.createReadStream(scans, 'k')), VALUE);
  assert.equal(await snapshot.getReader(scans, 'none'), null);
  assert.equal(snapshot.infoSync(scans, 'k').valueSize, VALUE.length);
  assert.equal((await snapshot.info(scans, 'k')).valueSize, VALUE.length);
  assert.deepEqual([snapshot.countSync(scans), await snapshot.count(scans, { prefix: 'x' })], [1, 0]);
  assert.deepEqual(snapshot.collections().map(({ name }) => name), ['scans']);
  snapshot.close();
});

test('an upload goes on after a restart', async (t) => {
  const where = folder();
  const data = path.join(where, 'data');
  let opened = Store.createSync(data, options(where));
  let scans = opened.createTenantSync('acme').collection('scans');
  let upload = scans.beginUploadSync('k');
  await upload.write(VALUE.subarray(0, 2_000_000));
  assert.throws(() => scans.resumeUploadSync(upload.id), kind('Busy'));
  await upload.flush();
  assert.equal(upload.durableBytes, 2_000_000);
  upload.close();
  opened.closeSync();

  opened = Store.openSync(data, options(where));
  scans = opened.tenantSync('acme').collection('scans');
  assert.equal(scans.getSync('k'), null);
  assert.throws(() => scans.resumeUploadSync(Buffer.alloc(16, 1)), kind('NotFound'));
  assert.throws(() => scans.resumeUploadSync(Buffer.alloc(3)), kind('InvalidArgument'));
  upload = await scans.resumeUpload(upload.id);
  upload.writeSync(VALUE.subarray(upload.durableBytes));
  assert.ok((await upload.publish()).sequence > 0);
  assert.deepEqual(scans.getSync('k'), VALUE);
  assert.throws(() => upload.writeSync('x'), kind('InvalidArgument'));
  const other = scans.beginUploadSync('other', { ifAbsent: true });
  other.discardSync();
  await assert.rejects(scans.resumeUpload(other.id), kind('NotFound'));
  opened.closeSync();
});
