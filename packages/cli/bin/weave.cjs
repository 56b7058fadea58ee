#!/usr/bin/env node
// Compiled code is kept beside its source, where only those may write who may change that as well.
require('node:module').enableCompileCache?.(`${__dirname}/../dist/compiled`);
require('../dist/bundle/weave.cjs');
