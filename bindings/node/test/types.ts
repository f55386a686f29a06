// What TypeScript makes of the types: compiled, never run.
import { Batch, KeyProvider, ProviderDenied, Store, StrongroomError, Version } from '..';

export async function use(): Promise<void> {
  const store: Store = await Store.open('data', { keys: { keyFile: 'root-key' }, durability: 'durable' });
  const tenant = await store.tenant('acme');
  const collection = tenant.collection('c');
  const version: Version = await collection.put('k', new Uint8Array(3), { ifAbsent: true });
  const value: Buffer | null = collection.getSync('k');
  const batch: Batch = tenant.batch().put(collection, 'k', value ?? '', { ifVersion: version });
  await batch.write();
  for await (const record of collection.scan({ prefix: 'k', reverse: true })) {
    const key: string = record.key.toString();
    // @ts-expect-error: the value may be missing
    record.value.toString();
    if (key === '') break;
  }
  // @ts-expect-error: neither durable nor buffered
  await collection.put('k', 'v', { durability: 'eventually' });
  const kms: KeyProvider = {
    wrap: async (key, context) => Buffer.concat([key, context.bytes]),
    unwrap: (wrapped) => {
      if (wrapped.length === 0) throw new ProviderDenied('it is empty');
      return wrapped.subarray(0, 32);
    },
  };
  await Store.open('data', { keys: { default: kms, second: { passphrase: 'x' } } });
  // @ts-expect-error: it has no unwrap
  await Store.open('data', { keys: { wrap: kms.wrap } });
  // @ts-expect-error: stores are opened, not made
  new Store();
  try {
    await store.close();
  } catch (error) {
    if (error instanceof StrongroomError && error.kind === 'Io') throw error;
  }
}
