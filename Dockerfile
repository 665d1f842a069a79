# The three images: docker buildx build --platform linux/amd64,linux/arm64 --target evenkeel-proxy --tag REGISTRY/evenkeel-proxy:0.1.0 .
# and the same for evenkeel-init and evenkeel-control. Programs are cross-compiled, and the packages of Debian under them are
# taken apart and not run, so no architecture needs emulation.

ARG RUST=docker.io/library/rust:1.95-bookworm

FROM --platform=$BUILDPLATFORM ${RUST} AS tools
RUN case $(dpkg --print-architecture) in \
        amd64) other=arm64; compiler="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
        arm64) other=amd64; compiler="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
    esac \
    && dpkg --add-architecture $other && apt-get update -q \
    && apt-get install -y -q --no-install-recommends ca-certificates $compiler \
    && rustup target add x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu

FROM tools AS programs
ARG TARGETARCH
ARG PROFILE=release
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target,id=target-$TARGETARCH \
    images/compile $TARGETARCH /programs

FROM tools AS roots
ARG TARGETARCH
COPY images/roots /tools/
RUN /tools/roots $TARGETARCH /roots

# Runs with NET_ADMIN and NET_RAW, as the injector says; both of iptables' backends are in it.
# The legacy one opens a lock file; this is writable in every container, on a read-only root, too.
FROM scratch AS evenkeel-init
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV XTABLES_LOCKFILE=/dev/shm/xtables.lock
COPY --from=roots /roots/iptables /
COPY --from=programs /programs/evenkeel-init /usr/local/bin/
ENTRYPOINT ["evenkeel-init"]
CMD ["install"]

FROM scratch AS evenkeel-control
ENV PATH=/usr/local/bin
COPY --from=roots /roots/plain /
COPY --from=programs /programs/evenkeel-control /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["evenkeel-control"]

FROM scratch AS evenkeel-proxy
ENV PATH=/usr/local/bin
COPY --from=roots /roots/plain /
COPY --from=programs /programs/evenkeel-proxy /usr/local/bin/
USER 1337:1337
ENTRYPOINT ["evenkeel-proxy"]
