// gRPC's own xDS client for JavaScript: calls to a target that a control plane resolves. Prints what became of the last, a
// line of JSON: `node grpc_client.js CONTROL_PLANE TARGET METHOD CALLS SECONDS`.
'use strict';
const [control, target, method, calls, seconds] = process.argv.slice(2);
const server = {server_uri: control, channel_creds: [{type: 'insecure'}], server_features: ['xds_v3']};
// The bootstrap is read when the package is loaded.
process.env.GRPC_XDS_BOOTSTRAP_CONFIG = JSON.stringify({xds_servers: [server], node: {id: 'grpc-js', locality: {region: '', zone: '', sub_zone: ''}}});
const grpc = require('@grpc/grpc-js');
require('@grpc/grpc-js-xds').register();

const client = new grpc.Client(target, grpc.credentials.createInsecure());
const asIs = (bytes) => bytes;
function call(left) {
  const deadline = Date.now() + Number(seconds) * 1000;
  client.makeUnaryRequest(method, asIs, asIs, Buffer.alloc(0), {deadline}, (error) => {
    if (!error && left > 1) return call(left - 1);
    console.log(JSON.stringify({code: grpc.status[error ? error.code : 0], details: error ? error.details : ''}));
    process.exit(0);
  });
}
call(Number(calls));
