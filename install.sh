#!/bin/sh
# Installs Workrun as a service of systemd, or brings the one that is installed up to the release beside this script.
#
#   sudo ./install.sh               asks what it needs to know, shows what it will do, and does it
#   sudo ./install.sh --yes         asks nothing
#   sudo ./install.sh --uninstall   removes the program and the service; data, keys and settings stay
#
#   --binary FILE        the program; else `workrun` beside this script, else what cargo has built there
#   --public-url URL     the address that people type, such as https://work.example.jp
#   --acme-contact MAIL  get certificates for that name from a public authority, which writes to this address
#   --operator MAIL      who is to run the appliance: their sign-in link is printed
#
# An upgrade takes a snapshot first. If the new release does not come up, the one before it is put back; and the data from
# that snapshot, if the old release cannot read it any more.
set -eu

program=/usr/bin/workrun
kept=/usr/lib/workrun
settings=/etc/workrun/config.toml
key_file=/etc/workrun/root.key
credential=/etc/credstore.encrypted/root-key
data=/var/lib/workrun
unit=/etc/systemd/system/workrun.service
# What the unit needs: credentials that are sealed to the machine.
systemd_least=252
room_least_mib=512

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
binary='' url='' contact='' operator='' yes='' uninstall=''

say() { printf '%s\n' "$*"; }
step() { printf '\n* %s\n' "$*"; }
warn() { printf 'install.sh: %s\n' "$*" >&2; }

# die WHAT [KEPT-AND-TO-DO...]
die() {
    printf 'install.sh: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 1
}

wrong() {
    printf 'install.sh: %s; see --help\n' "$1" >&2
    exit 2
}

somebody() { [ -z "$yes" ] && [ -t 0 ] && [ -t 1 ]; }

# ask QUESTION DEFAULT: the answer on standard output.
ask() {
    printf '%s [%s]: ' "$1" "${2:-none}" >&2
    read -r answer || answer=''
    printf '%s' "${answer:-$2}"
}

agreed() {
    somebody || return 0
    printf '%s [y/N]: ' "$1"
    read -r answer || answer=''
    case $answer in y | Y | yes) ;; *) return 1 ;; esac
}

version_of() { "$1" --version 2>/dev/null | awk 'NR == 1 { print $2 }'; }

# newer A B: whether A is a later release than B.
newer() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]; }

running() { systemctl is-active --quiet workrun; }

# A command of the appliance, whether it runs or not; without it, the root key must be given.
workrun() {
    if running; then
        "$program" "$@"
    else
        WORKRUN_ROOT_KEY=$(root_key) "$program" "$@"
    fi
}

root_key() {
    if [ -e "$credential" ]; then
        systemd-creds decrypt --name=root-key "$credential" -
    elif [ -e "$key_file" ]; then
        cat "$key_file"
    fi
}

# ---------------------------------------------------------------- looking

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --binary | --public-url | --acme-contact | --operator)
                [ $# -gt 1 ] || wrong "$1 needs a value"
                case $1 in
                    --binary) binary=$2 ;;
                    --public-url) url=${2%/} ;;
                    --acme-contact) contact=$2 ;;
                    --operator) operator=$2 ;;
                esac
                shift
                ;;
            --yes) yes=1 ;;
            --uninstall) uninstall=1 ;;
            --help | -h)
                sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0"
                exit 0
                ;;
            *) wrong "unknown option $1" ;;
        esac
        shift
    done
}

look_at_machine() {
    [ "$(uname -s)" = Linux ] || die 'Workrun runs on Linux.'
    [ "$(id -u)" = 0 ] || die 'Installing a service needs root.' 'Nothing was changed. Run it as: sudo ./install.sh'
    [ -d /run/systemd/system ] || die 'systemd does not run this machine, and the service needs it.' \
        'Nothing was changed. The program needs no installation: `workrun serve` runs it wherever you like.'
    present=$(systemctl --version | awk 'NR == 1 { print $2 }')
    [ "${present%%[!0-9]*}" -ge "$systemd_least" ] ||
        die "systemd is $present, and the service needs $systemd_least or newer (Debian 12, Ubuntu 24.04, RHEL 9)." 'Nothing was changed.'
}

look_for_binary() {
    if [ -z "$binary" ]; then
        for candidate in "$here/workrun" "$here/target/dist/workrun" "$here/target/release/workrun"; do
            if [ -f "$candidate" ]; then
                binary=$candidate
                break
            fi
        done
    fi
    [ -n "$binary" ] || die 'There is no program beside this script.' \
        'Nothing was changed. Build it first, as yourself: cargo build --profile dist'
    new=$(version_of "$binary") || true
    [ -n "$new" ] || die "$binary does not run on this machine ($(uname -m))." 'Nothing was changed. Name another one with --binary.'
    for file in workrun.service config.toml; do
        [ -f "$here/packaging/$file" ] || die "packaging/$file is missing beside this script." 'Nothing was changed.'
    done
}

look_for_room() {
    room=$(df -Pk /var/lib | awk 'NR == 2 { print int($4 / 1024) }')
    [ "$room" -ge "$room_least_mib" ] ||
        die "There are $room MiB left for data in /var/lib; $room_least_mib are the least." 'Nothing was changed. Make room, and run this again.'
}

# Whether something listens on the TCP port already.
taken() {
    port=$(printf '%04X' "$1")
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port=":$port" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }'
}

host_of() {
    rest=${1#https://}
    rest=${rest%%/*}
    case $rest in
        '['*']'*) rest=${rest#'['} && printf '%s' "${rest%%']'*}" ;;
        *) printf '%s' "${rest%:*}" ;;
    esac
}

port_of() {
    rest=${1#https://}
    rest=${rest%%/*}
    case $rest in
        *']') printf 443 ;;
        *:*) printf '%s' "${rest##*:}" ;;
        *) printf 443 ;;
    esac
}

# Whether the name leads to this machine, as far as it can tell: an authority will look for it there.
leads_here() {
    addresses=$(getent ahosts "$1" | awk '{ print $1 }' | sort -u)
    for address in $addresses; do
        for own in $(hostname -I 2>/dev/null); do
            if [ "$address" = "$own" ]; then return 0; fi
        done
    done
    return 1
}

# Whether a public authority could certify it: a name with a dot that is not only known inside.
public_name() {
    case $1 in
        localhost | *.local | *.internal | *.lan | *.home.arpa | *.test | *.localhost | *:*) return 1 ;;
        *[!0-9.]*.*) return 0 ;;
        *) return 1 ;;
    esac
}

# ---------------------------------------------------------------- the first installation

decide() {
    if [ -e "$settings" ]; then
        say "$settings is there already and stays as it is."
        return
    fi
    if somebody && [ -z "$url" ]; then
        name=$(hostname -f 2>/dev/null || hostname)
        url=$(ask 'The address that people will type' "https://$name:8443")
    fi
    url=${url:-https://localhost:8443}
    case $url in
        https://?*) ;;
        *) die "The address must begin with https://, and is $url." 'Nothing was changed.' ;;
    esac
    case $url in *['"\ |&']*) die "The address has characters that no address has: $url" 'Nothing was changed.' ;; esac
    case $contact in *['"\ |&']*) die "This is no mail address: $contact" 'Nothing was changed.' ;; esac
    host=$(host_of "$url") listen_port=$(port_of "$url")
    case $listen_port in '' | *[!0-9]*) die "The address has no usable port: $url" 'Nothing was changed.' ;; esac
    if somebody && [ -z "$contact" ] && public_name "$host" && [ "$listen_port" = 443 ]; then
        say 'A public authority (Let'\''s Encrypt) can certify it, if port 443 of that name leads to this machine from the internet.'
        contact=$(ask 'Mail address for the authority; empty for the appliance'\''s own certificate' '')
    fi
    if somebody && [ -z "$operator" ]; then
        operator=$(ask 'Mail address of the first operator' '')
    fi
    if taken "$listen_port"; then
        die "Something listens on port $listen_port already." 'Nothing was changed. Stop it, or choose another port: --public-url https://NAME:PORT'
    fi
    if [ -n "$contact" ]; then
        public_name "$host" || die "No public authority certifies $host." 'Nothing was changed. Leave --acme-contact away: the appliance has an authority of its own.'
        [ "$listen_port" = 443 ] || warn "the authority asks on port 443; forward it to $listen_port"
        leads_here "$host" || warn "$host does not lead to an address of this machine. Behind a router that forwards port 443 this is as it should be; otherwise no certificate will come."
    fi
}

plan() {
    say
    say "Workrun $new will be installed:"
    say "  program   $program"
    say "  service   workrun.service, as the user workrun"
    say "  data      $data"
    if [ -n "$url" ]; then
        say "  settings  $settings: $url, certificates $(if [ -n "$contact" ]; then printf 'from a public authority'; else printf 'of its own'; fi)"
    fi
    say
}

make_user() {
    if ! getent passwd workrun >/dev/null; then
        useradd --system --user-group --no-create-home --home-dir "$data" --shell /usr/sbin/nologin workrun
    fi
}

# put FILE TO MODE: in one step, so that whoever looks sees the old one or the new one.
put() {
    mkdir -p "$(dirname "$2")"
    install -m "$3" "$1" "$2.new"
    sync "$2.new"
    mv -f "$2.new" "$2"
}

write_settings() {
    mkdir -p "$(dirname "$settings")"
    [ ! -e "$settings" ] || return 0
    listen="\"0.0.0.0:$listen_port\""
    # Addresses of IPv6 can be had only where there are any.
    if [ -s /proc/net/if_inet6 ]; then listen="$listen, \"[::]:$listen_port\""; fi
    sed -e "s|^#public_url = .*|public_url = \"$url\"|" -e "s|^#listen = .*|listen = [$listen]|" \
        "$here/packaging/config.toml" >"$settings.new"
    if [ -n "$contact" ]; then
        sed -i "s|^#acme_contact = .*|acme_contact = \"$contact\"|" "$settings.new"
    fi
    if [ -e "$key_file" ]; then
        sed -i "s|^#root_key_file = .*|root_key_file = \"$key_file\"|" "$settings.new"
    fi
    chmod 0644 "$settings.new"
    mv -f "$settings.new" "$settings"
}

# 32 random bytes as the appliance reads them.
random_key() { od -An -vtx1 -N32 /dev/urandom | tr -d ' \n'; }

make_root_key() {
    if [ -e "$credential" ] || [ -e "$key_file" ]; then return; fi
    # Never a new key for data that an older one has sealed.
    if [ -e "$data/keyring" ]; then
        die "There is data in $data, but the root key that opens it is gone." \
            "Nothing was changed. Put the key back as $key_file, owned by the user workrun with mode 0600," \
            "or move $data away and restore from its snapshots with the recovery key (docs/guide/snapshots.md)."
    fi
    umask 077
    mkdir -p "$(dirname "$credential")" "$(dirname "$key_file")"
    if random_key | systemd-creds encrypt --name=root-key - "$credential.new" 2>/dev/null; then
        mv -f "$credential.new" "$credential"
        say "The root key is sealed to this machine: $credential"
    else
        rm -f "$credential.new"
        random_key >"$key_file"
        chown workrun: "$key_file"
        say "This machine cannot seal keys, so the root key is a file: $key_file"
    fi
    umask 022
    chmod 0755 "$(dirname "$key_file")"
}

# ---------------------------------------------------------------- starting

# Whether it came up and stays.
healthy() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        running || return 1
        if "$program" status --json >/dev/null 2>&1; then
            sleep 1
            [ "$(systemctl show -p NRestarts --value workrun)" = 0 ]
            return
        fi
        sleep 1
    done
    return 1
}

start() {
    began=$(date +%s)
    systemctl daemon-reload
    systemctl reset-failed workrun 2>/dev/null || true
    systemctl enable --quiet workrun
    systemctl restart workrun 2>/dev/null && healthy
}

said_last() {
    say 'What it said last:' >&2
    journalctl -u workrun --since "@$began" -n 15 --no-pager -o cat 2>/dev/null | sed 's/^/    /' >&2 || true
}

install_first() {
    first=''
    if [ ! -e "$data/keyring" ]; then first=1; fi
    look_for_room
    decide
    plan
    agreed 'Go on?' || die 'Nothing was changed.'
    make_user
    make_root_key
    step "Installing Workrun $new"
    put "$binary" "$program" 0755
    write_settings
    put "$here/packaging/workrun.service" "$unit" 0644
    step 'Starting it'
    if ! start; then
        said_last
        die 'The service did not come up.' "What was installed stays. Look at $settings and at \`journalctl -u workrun\`, then: systemctl restart workrun"
    fi
    farewell
}

farewell() {
    say "Workrun $new runs."
    address=$(sed -n 's/^public_url = "\(.*\)"/\1/p' "$settings")
    say "  Address         ${address:-see public_url in $settings}"
    if [ -n "$operator" ]; then
        link=$("$program" sign-in-link "$operator" --operator --json | sed 's/.*"url": *"\([^"]*\)".*/\1/')
        say "  First operator  $operator signs in, once, by"
        say "                  $link"
    else
        say '  First operator  workrun sign-in-link MAIL --operator'
    fi
    if ! grep -q '^acme_contact' "$settings"; then
        say '  Certificate     of its own authority: browsers warn until they have its root, which the sign-in page offers'
    fi
    if ! grep -q '^smtp_host' "$settings"; then
        say "  Mail            is not set up: see smtp_host in $settings, then systemctl restart workrun"
    fi
    if [ -z "$first" ]; then
        say '  Recovery key    the one that was taken before; `workrun keys recovery --test` tries your copy'
    elif somebody; then
        step 'The recovery key, which opens the snapshots when this machine is gone. Write it down, and keep it elsewhere.'
        "$program" keys recovery || warn 'no recovery key was taken; run `workrun keys recovery`'
    else
        say '  Recovery key    not taken yet: run `workrun keys recovery` on a terminal, and keep it off this machine'
    fi
}

# ---------------------------------------------------------------- upgrading

upgrade() {
    old=$(version_of "$program") || true
    if cmp -s "$binary" "$program" && cmp -s "$here/packaging/workrun.service" "$unit"; then
        say "Workrun $new is installed already."
        running || start || { said_last; die 'It does not come up.'; }
        return
    fi
    if [ -n "$old" ] && newer "$old" "$new"; then
        die "Workrun $old is installed, and $new is older." "Nothing was changed. Older releases do not read newer data; to go back, restore a snapshot that was taken by the older one."
    fi
    look_for_room
    say "Workrun ${old:-(which does not run)} will be replaced by $new. A snapshot is taken first; while the service restarts, nobody is answered."
    agreed 'Go on?' || die 'Nothing was changed.'
    generation=''
    if [ -n "$old" ] && [ -e "$data/keyring" ]; then
        step 'Taking a snapshot'
        taken_now=$(workrun snapshot --json) ||
            die 'No snapshot could be taken, so nothing was changed.' 'See `workrun status`; when a snapshot succeeds, run this again.'
        generation=$(printf '%s' "$taken_now" | sed 's/.*"generation": *"\([^"]*\)".*/\1/')
        own_again
        say "  $generation"
    fi
    step "Installing Workrun $new"
    mkdir -p "$kept"
    rm -f "$kept/workrun" "$kept/workrun.service"
    cp -p "$program" "$kept/workrun"
    if [ -e "$unit" ]; then cp -p "$unit" "$kept/workrun.service"; fi
    put "$binary" "$program" 0755
    put "$here/packaging/workrun.service" "$unit" 0644
    step 'Restarting it'
    if start; then
        say "Workrun $new runs. The release before it is kept in $kept."
        return
    fi
    said_last
    go_back
}

# After a command that ran as root beside the service.
own_again() { running || chown -R workrun: "$data"; }

go_back() {
    step "Workrun $new did not come up: going back to ${old:-what was there}"
    systemctl stop workrun || true
    put "$kept/workrun" "$program" 0755
    if [ -e "$kept/workrun.service" ]; then put "$kept/workrun.service" "$unit" 0644; fi
    if start; then
        die "Workrun $new did not come up. Workrun $old runs again, with all its data." 'Please report what it said above.'
    fi
    [ -n "$generation" ] || { said_last; die 'The release before it does not come up either.' "All data is where it was, in $data."; }
    step "It cannot read the data any more: restoring $generation"
    systemctl stop workrun || true
    if WORKRUN_ROOT_KEY=$(root_key) "$program" restore "$generation" --yes --keep-tokens && own_again && start; then
        die "Workrun $new did not come up. Workrun $old runs again, with the data of the snapshot taken just before ($generation)." \
            "What the new release had made of it is kept in $data. Everybody has to sign in again."
    fi
    said_last
    die 'The release before it does not come up either.' \
        "All data is in $data, and in its snapshots; the newest is $generation. docs/guide/snapshots.md says how to restore it."
}

# ---------------------------------------------------------------- uninstalling

remove() {
    agreed 'Workrun will be stopped and removed. Data, keys and settings stay. Go on?' || die 'Nothing was changed.'
    systemctl disable --now --quiet workrun 2>/dev/null || true
    rm -f "$unit" "$program"
    rm -rf "$kept"
    systemctl daemon-reload
    say 'Workrun is removed. What stays:'
    say "  data and snapshots  $data"
    say "  settings            /etc/workrun"
    say "  root key            $(if [ -e "$credential" ]; then printf '%s' "$credential"; else printf '%s' "$key_file"; fi)"
    say '  the user            workrun'
    say 'Install it again to go on where it stopped. Without the root key or the recovery key nobody can read the data.'
}

parse "$@"
look_at_machine
if [ -n "$uninstall" ]; then
    remove
    exit 0
fi
look_for_binary
if [ -e "$program" ]; then upgrade; else install_first; fi
