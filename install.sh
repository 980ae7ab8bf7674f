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
#   --recovery-key-out FILE   write the recovery key there instead of showing it; move it off the machine
#   --without-snapshot   upgrade a release that cannot take one any more
#
# An upgrade takes a snapshot first. If the new release does not come up, the one before it is put back; and the data from
# that snapshot, if the old release cannot read it any more. Cut off in the middle, it is finished by running it again.
#
# Ends with 0 when it is done, 1 when it failed, 2 when it was called wrongly.
set -eu
umask 022

program=/usr/bin/workrun
kept=/usr/lib/workrun
settings=/etc/workrun/config.toml
key_file=/etc/workrun/root.key
credential=/etc/credstore.encrypted/root-key
data=/var/lib/workrun
# Not in /etc: there stands what `systemctl edit --full` and `systemctl mask` make.
unit=/usr/lib/systemd/system/workrun.service
# What the unit needs: credentials that are sealed to the machine.
systemd_least=252
room_least_mib=512

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
binary='' url='' contact='' operator='' recovery_out='' without='' yes='' uninstall=''

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
    [ -z "$yes" ] || return 0
    somebody || wrong 'there is no terminal to ask on, so --yes is needed'
    printf '%s [y/N]: ' "$1"
    read -r answer || answer=''
    case $answer in y | Y | yes) ;; *) return 1 ;; esac
}

version_of() { "$1" --version 2>/dev/null | awk 'NR == 1 { print $2 }'; }

# newer A B: whether A is a later release than B.
newer() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]; }

running() { systemctl is-active --quiet workrun; }

# setting NAME: what the settings say, if they say it.
setting() { sed -n "s/^$1 *= *\"\(.*\)\".*/\1/p" "$settings" 2>/dev/null | tail -n 1; }

# Settings that an administrator has changed hold here too.
obey_settings() {
    value=$(setting data_dir) && data=${value:-$data}
    value=$(setting root_key_file) && key_file=${value:-$key_file}
}

# A command beside a service that does not run, as the service's user: what it writes is the service's.
as_service() (
    cd /
    if [ -e "$credential" ]; then
        WORKRUN_ROOT_KEY=$(systemd-creds decrypt --name=root-key "$credential" -) || exit 1
        export WORKRUN_ROOT_KEY
    fi
    unset WORKRUN_DATA_DIR
    export WORKRUN_CONFIG="$settings" XDG_CONFIG_HOME=/etc XDG_DATA_HOME=/var/lib
    exec setpriv --reuid=workrun --regid=workrun --init-groups "$program" "$@"
)

# ---------------------------------------------------------------- looking

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --binary | --public-url | --acme-contact | --operator | --recovery-key-out)
                [ $# -gt 1 ] || wrong "$1 needs a value"
                case $1 in
                    --binary) binary=$2 ;;
                    --public-url) url=${2%/} ;;
                    --acme-contact) contact=$2 ;;
                    --operator) operator=$2 ;;
                    --recovery-key-out) recovery_out=$2 ;;
                esac
                shift
                ;;
            --without-snapshot) without=1 ;;
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
        die "systemd is $present, and the service needs $systemd_least or newer (Debian 12, Ubuntu 24.04, RHEL 9.2)." 'Nothing was changed.'
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
    if [ -f "$binary" ]; then binary=$(realpath "$binary"); fi
    new=$(version_of "$binary") || true
    [ -n "$new" ] || die "$binary does not run here: it is for another machine than $(uname -m), or its file system lets nothing run." 'Nothing was changed. Name another one with --binary.'
    for file in workrun.service config.toml; do
        [ -f "$here/packaging/$file" ] || die "packaging/$file is missing beside this script." 'Nothing was changed.'
    done
}

look_for_room() {
    folder=$data
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    room=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
    [ "$room" -ge "$room_least_mib" ] ||
        die "There are $room MiB left for data in $folder; $room_least_mib are the least." 'Nothing was changed. Make room, and run this again.'
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
            case $address in "$own" | 127.*) return 0 ;; esac
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
        if [ -e "$data/keyring" ] || [ -z "$url" ]; then
            say "$settings is there already and stays as it is."
            if [ -n "$url$contact" ]; then warn 'the address and the contact that were given are not used'; fi
            url=''
            return
        fi
        # Of an installation that came to nothing.
        say "$settings will be moved to $settings.before."
    fi
    if somebody && [ -z "$url" ]; then
        name=$(hostname -f 2>/dev/null || uname -n)
        url=$(ask 'The address that people will type' "https://$name:8443")
    fi
    url=${url:-https://localhost:8443}
    case $url in
        https://?*) ;;
        *) die "The address must begin with https://, and is $url." 'Nothing was changed.' ;;
    esac
    case $url in *['"\ |&']*) die "The address has characters that no address has: $url" 'Nothing was changed.' ;; esac
    case $contact in *['"\ |&']*) die "This is no mail address: $contact" 'Nothing was changed.' ;; esac
    case ${url#https://} in
        */* | *@* | *'?'* | *'#'*) die "The address is a name and perhaps a port, nothing behind it: $url" 'Nothing was changed.' ;;
        '['*) ;;
        *:*:*) die "An address of IPv6 stands in brackets, as in https://[2001:db8::1]; it is $url" 'Nothing was changed.' ;;
    esac
    host=$(host_of "$url") listen_port=$(port_of "$url")
    case $listen_port in
        '' | *[!0-9]* | ??????*) listen_port=0 ;;
    esac
    if [ "$listen_port" -lt 1 ] || [ "$listen_port" -gt 65535 ]; then
        die "The address has no usable port: $url" 'Nothing was changed.'
    fi
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
    # Joined: where its failure is dealt with, the shell would go on after one.
    mkdir -p "$(dirname "$2")" && install -m "$3" "$1" "$2.new" && sync "$2.new" && mv -f "$2.new" "$2"
}

write_settings() {
    mkdir -p "$(dirname "$settings")"
    if [ -e "$settings" ]; then
        [ -n "$url" ] || return 0
        mv -f "$settings" "$settings.before"
    fi
    listen="\"0.0.0.0:$listen_port\""
    # Addresses of IPv6 can be had only where there are any.
    if [ -s /proc/net/if_inet6 ]; then listen="$listen, \"[::]:$listen_port\""; fi
    sed -e "s|^#public_url = .*|public_url = \"$url\"|" -e "s|^#listen = .*|listen = [$listen]|" \
        "$here/packaging/config.toml" >"$settings.new"
    if [ -n "$contact" ]; then
        sed -i "s|^#acme_contact = .*|acme_contact = \"$contact\"|" "$settings.new"
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
    mkdir -p "$(dirname "$key_file")"
    chmod 0755 "$(dirname "$key_file")"
    random_key >"$key_file.new"
    # Bound to the machine, and not to the state of its firmware as well: an update of that would lock everybody out.
    if [ -z "$(setting root_key_file)" ] && mkdir -p "$(dirname "$credential")" &&
        systemd-creds encrypt --tpm2-pcrs= --name=root-key "$key_file.new" "$credential.new" 2>/dev/null &&
        systemd-creds decrypt --name=root-key "$credential.new" - 2>/dev/null | cmp -s - "$key_file.new"; then
        mv -f "$credential.new" "$credential"
        rm -f "$key_file.new"
        say "The root key is sealed to this machine: $credential"
    else
        rm -f "$credential.new"
        chown workrun: "$key_file.new"
        mv -f "$key_file.new" "$key_file"
        say "The root key is a file, since it is to be or since this machine cannot seal it: $key_file"
    fi
    umask 022
}

# ---------------------------------------------------------------- starting

# Whether it came up and stays: a process that ends is begun again two seconds later.
healthy() {
    invocation=$(systemctl show -p InvocationID --value workrun)
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        running || return 1
        if "$program" status --json 2>/dev/null | grep -Eq '"running": ?true'; then
            sleep 4
            running && [ "$(systemctl show -p InvocationID --value workrun)" = "$invocation" ]
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
    write_settings
    put "$here/packaging/workrun.service" "$unit" 0644
    put "$binary" "$program" 0755
    step 'Starting it'
    systemctl daemon-reload
    systemctl enable --quiet workrun
    if ! start; then
        said_last
        systemctl stop workrun || true
        die 'The service did not come up.' "What was installed stays. Look at $settings and at \`journalctl -u workrun\`, then run this again."
    fi
    farewell
}

farewell() {
    say "Workrun $new runs."
    address=$(sed -n 's/^public_url = "\(.*\)"/\1/p' "$settings")
    say "  Address         ${address:-see public_url in $settings}"
    if [ -n "$operator" ]; then
        if link=$("$program" sign-in-link "$operator" --operator --json); then
            say "  First operator  $operator signs in, once, by"
            say "                  $(printf '%s' "$link" | sed 's/.*"url": *"\([^"]*\)".*/\1/')"
        else
            say '  First operator  not made; run: workrun sign-in-link MAIL --operator'
        fi
    else
        say '  First operator  workrun sign-in-link MAIL --operator'
    fi
    if ! grep -q '^acme_contact' "$settings"; then
        say '  Certificate     of its own authority: browsers warn until they have its root, which the sign-in page offers'
    fi
    if ! grep -q '^smtp_host' "$settings"; then
        say "  Mail            is not set up: see smtp_host in $settings, then systemctl restart workrun"
    fi
    if command -v firewall-cmd >/dev/null && firewall-cmd --state >/dev/null 2>&1; then
        say "  Firewall        firewalld runs; it lets others in after: firewall-cmd --permanent --add-port=$(port_of "${address:-https://}")/tcp; firewall-cmd --reload"
    fi
    if [ -z "$first" ]; then
        say '  Recovery key    the one that was taken before; `workrun keys recovery --test` tries your copy'
    elif [ -n "$recovery_out" ]; then
        "$program" keys recovery --out "$recovery_out" || warn 'no recovery key was taken; run `workrun keys recovery`'
    elif somebody; then
        step 'The recovery key, which opens the snapshots when this machine is gone. Write it down, and keep it elsewhere.'
        "$program" keys recovery || warn 'no recovery key was taken; run `workrun keys recovery`'
    else
        say '  Recovery key    not taken yet: run `workrun keys recovery` on a terminal, and keep it off this machine'
    fi
}

# ---------------------------------------------------------------- upgrading

# A snapshot taken by the command; its name is in $generation.
snapshot() {
    said=$("$@" snapshot --json) || return 1
    printf '%s' "$said" | grep -Eq '"problems": ?\[\]' || { warn "the snapshot has problems: $said"; return 1; }
    generation=$(printf '%s' "$said" | sed 's/.*"generation": *"\([^"]*\)".*/\1/')
    say "  $generation"
}

no_snapshot() {
    die 'No whole snapshot could be taken, so nothing was changed.' "See \`workrun status\`. When a snapshot succeeds, run this again; --without-snapshot does without."
}

upgrade() {
    old=$(version_of "$program") || true
    generation=''
    if [ -e "$kept/unfinished" ]; then
        # shellcheck disable=SC1091 # written below
        . "$kept/unfinished"
        say "An upgrade from ${old:-an older release} was cut off; it is finished now."
    elif cmp -s "$binary" "$program" && cmp -s "$here/packaging/workrun.service" "$unit"; then
        say "Workrun $new is installed already."
        running || say 'It does not run: systemctl start workrun'
        return
    fi
    if [ -n "$old" ] && newer "$old" "$new"; then
        die "Workrun $old is installed, and $new is older." "Nothing was changed. Older releases do not read newer data; to go back, restore a snapshot that was taken by the older one."
    fi
    [ "$(systemctl is-enabled workrun 2>/dev/null)" != masked ] || die 'The service is masked.' 'Nothing was changed. First: systemctl unmask workrun'
    ran=''
    if running; then ran=1; fi
    if [ ! -e "$kept/unfinished" ]; then
        look_for_room
        say "Workrun ${old:-(which does not run)} will be replaced by $new. A snapshot is taken first; while the service is stopped, nobody is answered."
        agreed 'Go on?' || die 'Nothing was changed.'
        if [ -z "$without" ]; then
            step 'Taking a snapshot'
            if [ -n "$ran" ]; then snapshot "$program" || no_snapshot; fi
        fi
    fi
    # From here to the end nobody is to cut it off half-way.
    trap '' INT HUP
    systemctl stop workrun || true
    if [ ! -e "$kept/unfinished" ]; then
        chown -R workrun: "$data/"
        # What was taken in since the first one; stores that did not change are linked.
        if [ -z "$without" ] && ! snapshot as_service; then
            [ -z "$ran" ] || systemctl start workrun || true
            no_snapshot
        fi
        mkdir -p "$kept"
        cp -p "$program" "$kept/workrun"
        cp -p "$unit" "$kept/workrun.service"
        printf "old='%s' generation='%s'\n" "$old" "$generation" >"$kept/unfinished.new"
        sync
        mv -f "$kept/unfinished.new" "$kept/unfinished"
    fi
    step "Installing Workrun $new"
    put "$binary" "$program" 0755
    put "$here/packaging/workrun.service" "$unit" 0644
    step 'Restarting it'
    if start; then
        rm -f "$kept/unfinished"
        say "Workrun $new runs. The release before it is kept in $kept."
        [ -n "$ran" ] || say 'It did not run before; to stop it: systemctl stop workrun'
        return
    fi
    said_last
    go_back
}

# A disk that is full takes no copy, but it takes a name.
put_back() { put "$1" "$2" "$3" || mv -f "$1" "$2"; }

go_back() {
    step "Workrun $new did not come up: going back to ${old:-what was there}"
    systemctl stop workrun || true
    put_back "$kept/workrun" "$program" 0755
    put_back "$kept/workrun.service" "$unit" 0644
    if as_service verify store >/dev/null 2>&1 || [ -z "$generation" ]; then
        back=''
        if start; then back=1; fi
        rm -f "$kept/unfinished"
        [ -z "$back" ] || die "Workrun $new did not come up. Workrun $old runs again, with all its data." 'Please report what it said above.'
        said_last
        die 'The release before it does not come up either.' "Nothing was restored: all data is where it was, in $data." 'Look at what it said above, then: systemctl restart workrun'
    fi
    step "It cannot read all of the data any more: restoring $generation, taken when the service had stopped"
    if as_service restore "$generation" --yes --keep-tokens && start; then
        rm -f "$kept/unfinished"
        die "Workrun $new did not come up. Workrun $old runs again, with the data of the snapshot taken just before ($generation)." \
            'Everybody has to sign in again. What the new release took in, if anything, is only in the folder named above; do not delete it before you have looked.'
    fi
    said_last
    die 'The release before it does not come up either.' \
        "All data is in $data and its snapshots; the newest is $generation. docs/guide/snapshots.md says how to restore it."
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
    say 'Install it again to go on where it stopped, with this release: only the upgrade of an installed one can go back. Without the root key or the recovery key nobody can read the data.'
}

parse "$@"
look_at_machine
obey_settings
if [ -n "$uninstall" ]; then
    remove
    exit 0
fi
look_for_binary
if [ -e "$program" ] && [ -e "$unit" ] && [ -e "$settings" ] && [ -e "$data/keyring" ]; then upgrade; else install_first; fi
