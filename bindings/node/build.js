// Builds the library with cargo and links it into the addon, `build/strongroom.node`: one file that needs nothing else.
'use strict';

const { execFileSync } = require('node:child_process');
const { mkdirSync, readdirSync } = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '../..');
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
const headers = path.join(path.dirname(require.resolve('node-api-headers/package.json')), 'include');
const run = (program, args) => execFileSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });

const sources = readdirSync(path.join(__dirname, 'src')).filter((name) => name.endsWith('.c'))
  .map((name) => path.join(__dirname, 'src', name));

run('cargo', ['build', '--release', '--package', 'strongroom-ffi']);
mkdirSync(path.join(__dirname, 'build'), { recursive: true });
run(process.env.CC ?? 'cc', [
  '-std=c99', '-D_POSIX_C_SOURCE=200809L', '-DNAPI_VERSION=8', '-Wall', '-Wextra', '-Werror', '-O2', '-fPIC',
  '-fvisibility=hidden', '-shared',
  `-I${headers}`, `-I${path.join(root, 'ffi/include')}`,
  '-o', path.join(__dirname, 'build/strongroom.node'), ...sources,
  path.join(target, 'release/libstrongroom.a'),
  '-Wl,--gc-sections', '-Wl,--exclude-libs,ALL', '-Wl,--strip-all', '-lgcc_s', '-lm', '-ldl', '-lpthread',
]);
