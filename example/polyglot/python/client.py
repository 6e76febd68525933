"""Calls the provider with Google's own gRPC library and the stubs that its plugin of protoc writes."""

import os
import sys

import grpc
import weather_pb2 as messages
import weather_pb2_grpc as stubs


def say(text):
    print("python: " + text, flush=True)


def read(name):
    """The content of the file that a variable names."""
    with open(os.environ[name], "rb") as file:
        return file.read()


def connect(target):
    """In clear, or with TLS_CA over TLS, with TLS_CERT and TLS_KEY as who they say."""
    if "TLS_CA" not in os.environ:
        return grpc.insecure_channel(target)
    own = (read("TLS_KEY"), read("TLS_CERT")) if "TLS_CERT" in os.environ else (None, None)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(read("TLS_CA"), *own))


def main(target):
    with connect(target) as channel:
        weather = stubs.WeatherStub(channel)
        report, call = weather.Now.with_call(
            messages.Place(name="Oslo"), timeout=30, metadata=(("client", "Python"),)
        )
        served = dict(call.initial_metadata())["served"]
        say("Now %s: %g, served %s" % (report.place, report.celsius, served))
        coming = ["%g" % one.celsius for one in weather.Forecast(messages.Place(name="Lima"))]
        say("Forecast Lima: " + ", ".join(coming))
        summary = weather.Record(messages.Report(celsius=one) for one in (1, 2, 6))
        say("Record: %d reports, mean %g" % (summary.reports, summary.mean_celsius))
        places = (messages.Place(name=name) for name in ("Lima", "Oslo"))
        followed = ["%s %g" % (one.place, one.celsius) for one in weather.Follow(places)]
        say("Follow: " + ", ".join(followed))
        packed = weather.Now(messages.Place(name="Lima"), compression=grpc.Compression.Gzip)
        say("Now Lima, compressed: %g" % packed.celsius)
        try:
            weather.Now(messages.Place(name="Atlantis"))
        except grpc.RpcError as error:
            say("Now Atlantis: %s, %s" % (error.code().name, error.details()))


main(sys.argv[1])
