# An OpenSSH server for the model store: keys alone, SFTP alone, one user who is not root. Its command
# stands in compose.yaml.
FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends openssh-server \
    && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
    && useradd --uid 10001 --user-group --create-home --password '*' deepcredit \
    && install -d -o deepcredit -g deepcredit /srv/store
COPY sshd_config /etc/ssh/sshd_store_config
WORKDIR /srv/store
USER 10001:10001
EXPOSE 2222
