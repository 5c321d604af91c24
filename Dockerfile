# A static binary on scratch, without a user of its own name and without a shell.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY . .
RUN cargo build --release --locked && mkdir /out && cp target/release/nodeward /out/

FROM scratch
COPY --from=build /out/nodeward /nodeward
USER 65532:65532
EXPOSE 9100
HEALTHCHECK --interval=30s --timeout=5s CMD ["/nodeward", "health"]
ENTRYPOINT ["/nodeward"]
CMD ["run", "--web.listen-address=:9100"]
