#!/usr/bin/env python3
"""An OTLP receiver of its own kind: Google's protobuf and gRPC decode what nodeward encodes.

Serves HTTP and gRPC on loopback, prints {"http": PORT, "grpc": PORT} and then one JSON line for
each request: what came, decoded, and what was answered. Needs: grpcio, opentelemetry-proto.

--script FILE holds a JSON list of answers, used one a request; after the last, all is taken:
  {"status": 503, "headers": {"Retry-After": "2"}}       over HTTP; over gRPC 503 becomes UNAVAILABLE
  {"code": 8, "message": "slow", "retry": 2.5}           over gRPC; "retry" makes a RetryInfo
  {"rejected": 3, "message": "too old"}                  taken but for three items
  {"delay": 5, ...} before any answer; {"reset": true}   over HTTP: no answer at all
"""
import argparse, gzip, http.server, itertools, json, socket, struct, threading, time
from concurrent import futures

import grpc
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

KINDS = {
    "metrics": (metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse, "rejected_data_points"),
    "traces": (traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse, "rejected_spans"),
    "logs": (logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse, "rejected_log_records"),
}
SERVICES = {"MetricsService": "metrics", "TraceService": "traces", "LogsService": "logs"}
lock = threading.Lock()


def receive(signal, body, protocol, headers):
    """Decodes and tells a request; gives the scripted answer and the encoded response."""
    request, response, rejected = KINDS[signal]
    with lock:
        answer = next(script)
    line = {"at": time.time(), "protocol": protocol, "signal": signal, "headers": headers, "answer": answer}
    try:
        line["request"] = MessageToDict(request.FromString(body), preserving_proto_field_name=True)
    except Exception as error:
        line["error"] = f"{type(error).__name__}: {error}"
    with lock:
        print(json.dumps(line), flush=True)
    time.sleep(answer.get("delay", 0))
    reply = response()
    if "rejected" in answer:
        setattr(reply.partial_success, rejected, answer["rejected"])
        reply.partial_success.error_message = answer.get("message", "")
    return answer, reply.SerializeToString()


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log_message = lambda *_: None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        signal = self.path.rpartition("/")[2]
        if signal not in KINDS or self.headers["Content-Type"] != "application/x-protobuf":
            return self.send_error(404 if signal not in KINDS else 415)
        answer, reply = receive(signal, body, "http", {k.lower(): v for k, v in self.headers.items()})
        if answer.get("reset"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return self.connection.close()
        status = answer.get("status", 200)
        reply = reply if status == 200 else status_pb2.Status(message=answer.get("message", "")).SerializeToString()
        self.send_response(status)
        for name, value in {"Content-Type": "application/x-protobuf", **answer.get("headers", {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)


class Grpc(grpc.GenericRpcHandler):
    def service(self, call):
        *_, service, method = call.method.replace("/", ".").split(".")
        if method != "Export" or service not in SERVICES:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda body, context: self.export(SERVICES[service], body, context))

    def export(self, signal, body, context):
        answer, reply = receive(signal, body, "grpc", {k: str(v) for k, v in context.invocation_metadata()})
        code = answer.get("code", {200: 0}.get(answer.get("status", 200), 14))
        if code:
            status = status_pb2.Status(code=code, message=answer.get("message", ""))
            if "retry" in answer:
                info = error_details_pb2.RetryInfo()
                info.retry_delay.FromNanoseconds(int(answer["retry"] * 1e9))
                status.details.add().Pack(info)
            context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
            context.set_details(answer.get("message", ""))
            context.set_code(next(c for c in grpc.StatusCode if c.value[0] == code))
        return reply


arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--http", type=int, default=0, help="port; default: any that is free")
arguments.add_argument("--grpc", type=int, default=0, help="port; default: any that is free")
arguments.add_argument("--script", help="file with the answers; default: all is taken")
chosen = arguments.parse_args()
scripted = json.load(open(chosen.script)) if chosen.script else []
script = itertools.chain(scripted, itertools.repeat({}))
http.server.ThreadingHTTPServer.allow_reuse_address = True
web = http.server.ThreadingHTTPServer(("127.0.0.1", chosen.http), Http)
calls = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Grpc()])
port = calls.add_insecure_port(f"127.0.0.1:{chosen.grpc}")
calls.start()
print(json.dumps({"http": web.server_address[1], "grpc": port}), flush=True)
web.serve_forever()
