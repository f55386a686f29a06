// Large values as streams of Node: readable over a reader, writable over a put or an upload.
'use strict';

const { Readable, Writable } = require('node:stream');

/** What goes through the journal whole; a longer value is put in chunks. */
const WHOLE_BYTES = 1 << 20;

class ValueStream extends Readable {
  #open;
  #reader;
  #position;
  #end;

  /** `open` promises a Reader, or null where there is no such record: then the stream fails. */
  constructor(open, { start = 0, end = Infinity, highWaterMark = 256 * 1024 } = {}) {
    super({ highWaterMark });
    this.#open = open;
    this.#position = start;
    this.#end = end;
  }

  _construct(callback) {
    this.#open().then((reader) => {
      this.#reader = reader;
      callback();
    }, callback);
  }

  _read(size) {
    const length = Math.min(size, this.#end - this.#position);
    if (length <= 0) return void this.push(null);
    this.#reader.readAt(this.#position, length).then(
      (bytes) => {
        this.#position += bytes.length;
        this.push(bytes.length === 0 ? null : bytes);
      },
      (error) => this.destroy(error),
    );
  }

  _destroy(error, callback) {
    this.#reader?.close();
    callback(error);
  }
}

/** Puts its record when it ends: all of it, or nothing. `version` is there then. */
class PutStream extends Writable {
  #collection;
  #key;
  #options;
  #begun = [];
  #size = 0;
  #upload = null;
  version = null;

  constructor(collection, key, options) {
    super({ highWaterMark: WHOLE_BYTES });
    this.#collection = collection;
    this.#key = key;
    this.#options = options;
  }

  async #add(chunk) {
    this.#size += chunk.length;
    if (this.#upload === null) {
      this.#begun.push(chunk);
      if (this.#size <= WHOLE_BYTES) return;
      this.#upload = this.#collection.beginUploadSync(this.#key, this.#options);
      chunk = Buffer.concat(this.#begun);
      this.#begun = [];
    }
    await this.#upload.write(chunk);
  }

  async #finish() {
    if (this.#upload === null) {
      this.version = await this.#collection.put(this.#key, Buffer.concat(this.#begun), this.#options);
    } else {
      this.version = await this.#upload.publish();
      this.#upload = null;
    }
  }

  _write(chunk, encoding, callback) {
    this.#add(chunk).then(() => callback(), callback);
  }

  _final(callback) {
    this.#finish().then(() => callback(), callback);
  }

  _destroy(error, callback) {
    const upload = this.#upload;
    this.#upload = null;
    this.#begun = [];
    if (upload === null) return void callback(error);
    // What there is of it would be removed a day later too.
    upload.discard().then(() => callback(error), () => callback(error));
  }
}

module.exports = { PutStream, ValueStream };
