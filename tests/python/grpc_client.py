"""gRPC's own xDS client: calls to a target that a control plane resolves. Prints what became of the last, a line of JSON.

    grpc_client.py --control-plane 127.0.0.1:15010 --seconds 20 xds:///10.96.0.10:80 /evenkeel.test.Echo/Unary
"""

import argparse
import json
import os


def main():
    parser = argparse.ArgumentParser(description="calls through gRPC's xDS client, on one channel")
    parser.add_argument("--control-plane", required=True, help="IP:PORT of ADS")
    parser.add_argument("--seconds", type=float, default=20, help="how long the call may take")
    parser.add_argument("--calls", type=int, default=1, help="how many; the first that fails is the last")
    parser.add_argument("target", help="xds:///NAME")
    parser.add_argument("method", help="/SERVICE/METHOD; the request is empty")
    arguments = parser.parse_args()
    server = {"server_uri": arguments.control_plane, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}
    os.environ["GRPC_XDS_BOOTSTRAP_CONFIG"] = json.dumps({"xds_servers": [server], "node": {"id": "grpc"}})
    print(json.dumps(call(arguments)), flush=True)


def call(arguments):
    # The bootstrap is read when gRPC is loaded.
    import grpc

    with grpc.insecure_channel(arguments.target) as channel:
        method = channel.unary_unary(arguments.method, request_serializer=bytes, response_deserializer=bytes)
        try:
            for _ in range(arguments.calls):
                answer, outcome = method.with_call(b"", timeout=arguments.seconds, wait_for_ready=False)
            return {"code": outcome.code().name, "details": "", "answer": answer.hex()}
        except grpc.RpcError as error:
            return {"code": error.code().name, "details": error.details()}


if __name__ == "__main__":
    main()
