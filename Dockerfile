# A static binary on scratch: no shell, no package, an account of its own.
FROM rust:1.95-alpine AS build
# perl and make build OpenSSL, which has pre-shared keys for Zabbix. `--build-arg FEATURES=` leaves it out, and 6 MB with it.
ARG FEATURES=psk
RUN apk add --no-cache musl-dev perl make
WORKDIR /src
COPY . .
RUN cargo build --release --locked --features "$FEATURES" && mkdir -p /out/run/nodeward /out/var/lib/nodeward && cp target/release/nodeward /out/

FROM scratch
COPY --from=build /out/nodeward /nodeward
# The control socket and the journal lie there, so they belong to the account below.
COPY --from=build --chown=65532:65532 /out/run/nodeward /run/nodeward
COPY --from=build --chown=65532:65532 /out/var/lib/nodeward /var/lib/nodeward
USER 65532:65532
EXPOSE 9100
HEALTHCHECK --interval=30s --timeout=5s CMD ["/nodeward", "health"]
ENTRYPOINT ["/nodeward"]
CMD ["run", "--web.listen-address=:9100"]
