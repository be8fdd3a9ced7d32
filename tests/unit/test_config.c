// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "config/loader.h"

#include <errno.h>
#include <stdlib.h>

static const char everything[] =
	"main: {\n"
	"  workers = [ 1, 3 ]; control_core = 2; helper_cores = [ 4, 5, 6 ];\n"
	"  idle = \"sleep\"; hugepages = \"off\"; memory_mb = 1024; node_id = 5;\n"
	"  state_dir = \"/srv/state\"; run_dir = \"/srv/run\"; max_sessions = 100000;\n"
	"  cookie_threshold = 7; half_open_max = 8; half_open_timeout_s = 9;\n"
	"  half_open_max_ikev1 = 10; quick_crash_detection = false;\n"
	"};\n"
	"ports = (\n"
	"  { name = \"outside\"; role = \"outside\"; device = \"net_tap0,iface=sp-outside\";\n"
	"    mac = \"02:00:00:00:01:0a\"; addresses = [ \"192.0.2.1/24\", \"2001:db8:1::1/64\" ];\n"
	"    gateways = [ \"192.0.2.254\" ]; mtu = 9000; rss = \"spi\";\n"
	"    rx_descriptors = 512; tx_descriptors = 256; promiscuous = true;\n"
	"    checksum_offload = false; },\n"
	"  { name = \"inside\"; role = \"inside\"; device = \"0000:3b:00.1\";\n"
	"    addresses = [ \"10.99.0.1/24\" ];\n"
	"    routes = ( { prefix = \"10.0.0.0/8\"; via = \"10.99.0.254\"; } ); proxy_arp = true; }\n"
	");\n"
	"pools = (\n"
	"  { name = \"ire\"; ranges = [ \"171.72.1.1-171.72.1.254\", \"171.72.3.0/24\" ];\n"
	"    exclude = [ \"171.72.1.9\" ]; dns = [ \"9.9.9.9\" ]; nbns = [ \"10.9.9.9\" ];\n"
	"    dhcp = [ \"10.9.9.8\", \"10.9.9.7\" ];\n"
	"    domain = \"corp.example\"; netmask = \"255.255.255.255\"; linger_s = 60;\n"
	"    reserve = ( { owner = \"user1\"; address = \"171.72.1.10\"; } ); },\n"
	"  { name = \"ire6\"; ranges = [ \"2001:db8:77::1-2001:db8:77::ffff\" ]; }\n"
	");\n"
	"credentials: {\n"
	"  psk = ( { id = \"peer.example\"; secret = \"correct horse battery staple\"; },\n"
	"          { addresses = [ \"198.51.100.0/24\" ]; secret = \"main mode finds it by address\"; } );\n"
	"  users = ( { name = \"user1\"; password = \"a password\"; groups = [ \"staff\", \"vpn\" ]; } );\n"
	"  certificates = ( { cert = \"/dev/null\"; key = \"/dev/zero\"; } );\n"
	"  ca = [ \"/dev/null\" ];\n"
	"};\n"
	"connections = (\n"
	"  { name = \"clients\"; ike_versions = [ 2 ];\n"
	"    ike_proposals = [ \"aes128gcm16-prfsha256-x25519\", \"aes256-sha256-modp2048\" ];\n"
	"    legacy = [ ]; aggressive = false;\n"
	"    local = { id = \"gw.example\"; auth = \"cert\"; cert = \"/dev/null\"; };\n"
	"    remote = { id = \"*.example\"; auth = \"psk\"; user_auth = \"none\";\n"
	"               addresses = [ \"198.51.100.0/24\", \"2001:db8::/32\" ]; };\n"
	"    mode_config = [ \"respond\" ]; address_required = true; pools = [ \"ire6\", \"ire\" ];\n"
	"    responder_only = true; unique = \"keep\"; max_sessions = 3; initiate = \"none\";\n"
	"    lifetime = { ike_rekey_s = 1000; ike_hard_s = 2000; child_rekey_s = 300;\n"
	"                 child_hard_s = 400; child_rekey_bytes = 8000000000L;\n"
	"                 child_rekey_packets = 5; child_hard_packets = 6; reauth_s = 900; };\n"
	"    mobike = false;\n"
	"    dpd = { delay_s = 11; timeout_s = 22; }; childless = true; fragment_size = 0;\n"
	"    idle_s = 600; mss = 1300; dscp = 46; ecn = false; rate_in_kbit_s = 1000;\n"
	"    rate_out_kbit_s = 2000; rate_burst_bytes = 30000;\n"
	"    split_include = [ ]; banner = \"\"; save_password = false;\n"
	"    children = (\n"
	"      { name = \"lan\"; local_ts = [ \"10.99.0.0/24\", \"10.1.0.1-10.1.0.5[tcp/80-90]\" ];\n"
	"        remote_ts = [ \"10.7.0.0/16[udp]\" ];\n"
	"        esp_proposals = [ \"aes128gcm16\", \"aes128-sha256-x25519\" ];\n"
	"        pfs = \"required\"; replay_window = 100; esn = false; df = \"set\";\n"
	"        fragment = \"after\"; mtu = 1400; tfc = 512; },\n"
	"      { name = \"six\"; local_ts = [ \"::/0\" ]; tfc = \"mtu\"; }\n"
	"    ); },\n"
	"  { name = \"plain\"; local = { id = \"gw.example\"; auth = \"psk\"; };\n"
	"    remote = { auth = \"psk\"; }; children = ( { name = \"a\"; local_ts = [ \"0.0.0.0/0\" ]; } ); },\n"
	"  { name = \"clients-v1\"; ike_versions = [ 1 ]; aggressive = true;\n"
	"    ike_proposals = [ \"des-md5-modp768\", \"3des-sha1-modp1024-modp1536\" ];\n"
	"    legacy = [ \"des\", \"3des\", \"md5\", \"modp768\", \"modp1024\", \"modp1536\" ];\n"
	"    local = { id = \"gw.example\"; auth = \"cert\"; };\n"
	"    remote = { auth = \"none\"; user_auth = \"xauth\"; };\n"
	"    mode_config = [ \"initiate\", \"respond\" ]; pools = [ \"ire\" ];\n"
	"    push = \"before_status\"; push_delay_ms = 700;\n"
	"    split_include = [ \"10.99.0.0/24\", \"10.98.0.0/16\", \"2001:db8:99::/48\" ];\n"
	"    banner = \"Welcome.\";\n"
	"    save_password = true; split_dns = [ \"corp.example\", \"lab.example\" ];\n"
	"    local_lan = [ \"192.168.0.0/16\" ]; backup_servers = [ \"gw2.example\", \"192.0.2.3\" ];\n"
	"    children = ( { name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];\n"
	"      esp_proposals = [ \"des-md5\" ]; } ); },\n"
	"  { name = \"uplink\"; ike_versions = [ 1 ];\n"
	"    local = { id = \"branch\"; auth = \"none\"; user = \"branch\"; password = \"let me in\"; };\n"
	"    remote = { id = \"gw.example\"; auth = \"cert\"; };\n"
	"    request_push = true; request_addresses = [ \"10.1.0.9\" ];\n"
	"    children = ( { name = \"a\"; local_ts = [ \"10.0.0.0/8\" ]; } ); },\n"
	"  { name = \"branch\"; initiate = \"on_demand\";\n"
	"    local = { id = \"gw.example\"; auth = \"cert\"; };\n"
	"    remote = { id = \"branch.example\"; auth = \"cert\";\n"
	"      addresses = [ \"198.51.100.7\", \"2001:db8:7::7/128\" ]; };\n"
	"    tunnel_interface = { routes = [ \"10.7.0.0/16\", \"2001:db8:7::/48\" ]; };\n"
	"    children = ( { name = \"any\"; local_ts = [ \"0.0.0.0/0\", \"::/0\" ];\n"
	"      remote_ts = [ \"::/0\", \"0.0.0.0/0\" ]; per_resource = true; } ); },\n"
	"  { name = \"roamer\"; initiate = \"start\"; request_addresses = [ \"::\", \"0.0.0.0\" ];\n"
	"    local = { id = \"gw.example\"; auth = \"cert\"; };\n"
	"    remote = { id = \"hub.example\"; auth = \"cert\"; addresses = [ \"198.51.100.9\" ]; };\n"
	"    tunnel_interface = { };\n"
	"    children = ( { name = \"any\"; local_ts = [ \"0.0.0.0/0\" ];\n"
	"      remote_ts = [ \"0.0.0.0/0\" ]; } ); }\n"
	");\n";

static struct cfg *load(const char *text)
{
	struct cfg *c = NULL;
	assert_int_equal(cfg_load_text("t", text, stderr, &c), 0);
	return c;
}

static void assert_addr(const struct ip_addr *a, const char *text)
{
	char buf[IP_TEXT_MAX];
	assert_string_equal(ip_text(a, buf), text);
}

static void assert_prefix(const struct ip_prefix *p, const char *text)
{
	char buf[IP_TEXT_MAX];
	assert_string_equal(ip_prefix_text(p, buf), text);
}

static void assert_selector(const struct selector *s, const char *text)
{
	char buf[SELECTOR_TEXT_MAX];
	assert_string_equal(selector_text(s, buf), text);
}

static void main_is_read(void **state)
{
	struct cfg *c = load(everything);
	const struct cfg_main *m = &c->main;
	assert_int_equal(m->worker_count, 2);
	assert_int_equal(m->workers[0], 1);
	assert_int_equal(m->workers[1], 3);
	assert_int_equal(m->control_core, 2);
	assert_int_equal(m->helper_count, 3);
	assert_int_equal(m->helper_cores[2], 6);
	assert_int_equal(m->idle, CFG_IDLE_SLEEP);
	assert_int_equal(m->hugepages, CFG_HUGEPAGES_OFF);
	assert_int_equal(m->memory_mb, 1024);
	assert_int_equal(m->node_id, 5);
	assert_int_equal(m->max_sessions, 100000);
	assert_int_equal(m->cookie_threshold, 7);
	assert_int_equal(m->half_open_max, 8);
	assert_int_equal(m->half_open_timeout_s, 9);
	assert_int_equal(m->half_open_max_ikev1, 10);
	assert_false(m->quick_crash_detection);
	assert_string_equal(m->state_dir, "/srv/state");
	assert_string_equal(m->run_dir, "/srv/run");
	cfg_free(c);
}

static void ports_are_read(void **state)
{
	struct cfg *c = load(everything);
	assert_int_equal(c->port_count, 2);
	const struct cfg_port *o = &c->ports[0], *i = &c->ports[1];
	assert_string_equal(o->name, "outside");
	assert_int_equal(o->role, CFG_OUTSIDE);
	assert_string_equal(o->device, "net_tap0,iface=sp-outside");
	assert_false(o->pci);
	assert_true(o->mac_set);
	assert_memory_equal(o->mac, "\x02\x00\x00\x00\x01\x0a", 6);
	assert_int_equal(o->address_count, 2);
	assert_prefix(&o->addresses[0], "192.0.2.1/24");
	assert_prefix(&o->addresses[1], "2001:db8:1::1/64");
	assert_int_equal(o->gateway_count, 1);
	assert_addr(&o->gateways[0], "192.0.2.254");
	assert_int_equal(o->route_count, 0);
	assert_int_equal(o->mtu, 9000);
	assert_int_equal(o->rss, CFG_RSS_SPI);
	assert_int_equal(o->rx_descriptors, 512);
	assert_int_equal(o->tx_descriptors, 256);
	assert_true(o->promiscuous);
	assert_false(o->checksum_offload);
	assert_false(o->proxy_arp);
	assert_int_equal(i->role, CFG_INSIDE);
	assert_true(i->pci);
	assert_false(i->mac_set);
	assert_int_equal(i->route_count, 1);
	assert_prefix(&i->routes[0].prefix, "10.0.0.0/8");
	assert_addr(&i->routes[0].via, "10.99.0.254");
	assert_int_equal(i->mtu, 1500);
	assert_int_equal(i->rss, CFG_RSS_AUTO);
	assert_int_equal(i->rx_descriptors, 1024);
	assert_true(i->checksum_offload);
	assert_true(i->proxy_arp);
	cfg_free(c);
}

static void pools_are_read(void **state)
{
	struct cfg *c = load(everything);
	assert_int_equal(c->pool_count, 2);
	const struct cfg_pool *p = &c->pools[0];
	assert_string_equal(p->name, "ire");
	assert_int_equal(p->range_count, 2);
	assert_addr(&p->ranges[0].lo, "171.72.1.1");
	assert_addr(&p->ranges[0].hi, "171.72.1.254");
	assert_addr(&p->ranges[1].hi, "171.72.3.255");
	assert_int_equal(p->exclude_count, 1);
	assert_addr(&p->excludes[0].lo, "171.72.1.9");
	assert_addr(&p->excludes[0].hi, "171.72.1.9");
	assert_int_equal(p->dns_count, 1);
	assert_addr(&p->dns[0], "9.9.9.9");
	assert_int_equal(p->nbns_count, 1);
	assert_addr(&p->nbns[0], "10.9.9.9");
	assert_int_equal(p->dhcp_count, 2);
	assert_addr(&p->dhcp[1], "10.9.9.7");
	assert_string_equal(p->domain, "corp.example");
	assert_addr(&p->netmask, "255.255.255.255");
	assert_int_equal(p->linger_s, 60);
	assert_int_equal(p->reservation_count, 1);
	assert_string_equal(p->reservations[0].owner, "user1");
	assert_addr(&p->reservations[0].address, "171.72.1.10");
	assert_int_equal(c->pools[1].linger_s, 300);
	assert_int_equal(c->pools[1].netmask.family, 0);
	assert_null(c->pools[1].domain);
	cfg_free(c);
}

static void credentials_are_read(void **state)
{
	struct cfg *c = load(everything);
	assert_int_equal(c->psk_count, 2);
	assert_string_equal(c->psks[0].id, "peer.example");
	assert_int_equal(c->psks[0].secret.len, 28);
	assert_memory_equal(c->psks[0].secret.bytes, "correct horse battery staple", 28);
	assert_null(c->psks[1].id);
	assert_int_equal(c->psks[1].address_count, 1);
	assert_prefix(&c->psks[1].addresses[0], "198.51.100.0/24");
	assert_int_equal(c->user_count, 1);
	assert_string_equal(c->users[0].name, "user1");
	assert_memory_equal(c->users[0].password.bytes, "a password", 10);
	assert_int_equal(c->users[0].groups.count, 2);
	assert_string_equal(c->users[0].groups.items[1], "vpn");
	assert_int_equal(c->certificate_count, 1);
	assert_string_equal(c->certificates[0].cert, "/dev/null");
	assert_string_equal(c->certificates[0].key, "/dev/zero");
	assert_int_equal(c->ca.count, 1);
	assert_string_equal(c->ca.items[0], "/dev/null");
	cfg_free(c);
}

static void connections_are_read(void **state)
{
	struct cfg *c = load(everything);
	assert_int_equal(c->connection_count, 6);
	const struct cfg_connection *n = &c->connections[0];
	assert_string_equal(n->name, "clients");
	assert_false(n->ikev1);
	assert_true(n->ikev2);
	assert_int_equal(n->ike_proposal_count, 2);
	assert_int_equal(n->ike_proposals[0].dh[0], DH_X25519);
	assert_int_equal(n->ike_proposals[1].encr[0].key_bits, 256);
	assert_string_equal(n->local.id, "gw.example");
	assert_int_equal(n->local.auth, CFG_AUTH_CERT);
	assert_string_equal(n->local.cert, "/dev/null");
	assert_string_equal(n->remote.id, "*.example");
	assert_int_equal(n->remote.auth, CFG_AUTH_PSK);
	assert_int_equal(n->remote.user_auth, CFG_USER_NONE);
	assert_int_equal(n->remote.address_count, 2);
	assert_prefix(&n->remote.addresses[1], "2001:db8::/32");
	assert_false(n->mode_config_initiate);
	assert_true(n->mode_config_respond);
	assert_true(n->address_required);
	assert_int_equal(n->pool_count, 2);
	assert_ptr_equal(n->pools[0], &c->pools[1]);
	assert_ptr_equal(n->pools[1], &c->pools[0]);
	assert_true(n->responder_only);
	assert_int_equal(n->unique, CFG_UNIQUE_KEEP);
	assert_int_equal(n->max_sessions, 3);
	assert_int_equal(n->initiate, CFG_INITIATE_NONE);
	assert_int_equal(n->lifetime.ike_rekey_s, 1000);
	assert_int_equal(n->lifetime.ike_hard_s, 2000);
	assert_int_equal(n->lifetime.child_rekey_s, 300);
	assert_int_equal(n->lifetime.child_hard_s, 400);
	assert_int_equal(n->lifetime.reauth_s, 900);
	assert_true(n->lifetime.child_rekey_bytes == 8000000000);
	assert_int_equal(n->lifetime.child_hard_bytes, 0);
	assert_int_equal(n->lifetime.child_rekey_packets, 5);
	assert_int_equal(n->lifetime.child_hard_packets, 6);
	assert_false(n->mobike || n->tunnel_interface);
	assert_int_equal(n->dpd.delay_s, 11);
	assert_int_equal(n->dpd.timeout_s, 22);
	assert_true(n->childless);
	assert_int_equal(n->idle_s, 600);
	assert_int_equal(n->mss, 1300);
	assert_int_equal(n->dscp, 46);
	assert_false(n->ecn);
	assert_int_equal(n->rate_in_kbit_s, 1000);
	assert_int_equal(n->rate_out_kbit_s, 2000);
	assert_int_equal(n->rate_burst_bytes, 30000);
	assert_int_equal(n->fragment_size, 0);
	assert_int_equal(n->split_include_count, 0);
	assert_null(n->banner);
	assert_false(n->save_password);
	cfg_free(c);
}

static void children_are_read(void **state)
{
	struct cfg *c = load(everything);
	assert_int_equal(c->connections[0].child_count, 2);
	const struct cfg_child *k = c->connections[0].children;
	assert_string_equal(k->name, "lan");
	assert_int_equal(k->local_ts_count, 2);
	assert_selector(&k->local_ts[0], "10.99.0.0/24");
	assert_selector(&k->local_ts[1], "10.1.0.1-10.1.0.5[6/80-90]");
	assert_int_equal(k->remote_ts_count, 1);
	assert_selector(&k->remote_ts[0], "10.7.0.0/16[17]");
	assert_int_equal(k->esp_proposal_count, 2);
	assert_true(k->esp_proposals[0].aead);
	assert_int_equal(k->esp_proposals[1].dh[0], DH_X25519);
	assert_int_equal(k->pfs, CFG_PFS_REQUIRED);
	assert_int_equal(k->replay_window, 128); // 100, rounded up
	assert_false(k->esn);
	assert_int_equal(k->df, CFG_DF_SET);
	assert_int_equal(k->tfc, 512);
	assert_int_equal(k[1].tfc, CFG_TFC_MTU);
	assert_int_equal(k->fragment, CFG_FRAGMENT_AFTER);
	assert_int_equal(k->mtu, 1400);
	assert_string_equal(k[1].name, "six");
	assert_int_equal(k[1].remote_ts_count, 0);
	cfg_free(c);
}

static void ikev1_is_read(void **state)
{
	struct cfg *c = load(everything);
	const struct cfg_connection *n = &c->connections[2];
	assert_true(n->ikev1 && !n->ikev2);
	assert_true(n->aggressive);
	assert_int_equal(n->ike_proposals[0].encr[0].id, ENCR_DES);
	assert_int_equal(n->ike_proposals[0].integ[0], INTEG_HMAC_MD5_96);
	assert_int_equal(n->ike_proposals[0].dh[0], DH_MODP_768);
	assert_int_equal(n->ike_proposals[1].dh[1], DH_MODP_1536);
	assert_int_equal(n->remote.auth, CFG_AUTH_NONE);
	assert_int_equal(n->remote.user_auth, CFG_USER_XAUTH);
	assert_true(n->mode_config_initiate && n->mode_config_respond);
	assert_int_equal(n->push, CFG_PUSH_BEFORE_STATUS);
	assert_int_equal(n->push_delay_ms, 700);
	assert_int_equal(n->split_include_count, 3);
	assert_prefix(&n->split_include[1], "10.98.0.0/16");
	assert_prefix(&n->split_include[2], "2001:db8:99::/48");
	assert_string_equal(n->banner, "Welcome.");
	assert_true(n->save_password);
	assert_int_equal(n->split_dns.count, 2);
	assert_string_equal(n->split_dns.items[1], "lab.example");
	assert_int_equal(n->local_lan_count, 1);
	assert_prefix(&n->local_lan[0], "192.168.0.0/16");
	assert_int_equal(n->backup_servers.count, 2);
	assert_string_equal(n->backup_servers.items[0], "gw2.example");
	assert_int_equal(n->children[0].esp_proposals[0].encr[0].id, ENCR_DES);
	assert_null(n->local.user);
	n = &c->connections[3];
	assert_int_equal(n->local.auth, CFG_AUTH_NONE);
	assert_string_equal(n->local.user, "branch");
	assert_int_equal(n->local.password.len, 9);
	assert_memory_equal(n->local.password.bytes, "let me in", 9);
	cfg_free(c);
}

static void what_is_begun_is_read(void **state)
{
	struct cfg *c = load(everything);
	const struct cfg_connection *n = &c->connections[3];
	assert_true(n->request_push && n->request_v4 && !n->request_v6);
	assert_addr(&n->request_hint_v4, "10.1.0.9");
	n = &c->connections[4];
	assert_int_equal(n->initiate, CFG_INITIATE_ON_DEMAND);
	assert_int_equal(n->remote.address_count, 2);
	assert_true(n->tunnel_interface);
	assert_int_equal(n->tunnel_route_count, 2);
	assert_prefix(&n->tunnel_routes[0], "10.7.0.0/16");
	assert_prefix(&n->tunnel_routes[1], "2001:db8:7::/48");
	assert_true(n->children[0].per_resource && n->children[0].tunnel_interface);
	assert_false(n->request_v4 || n->request_v6 || n->request_push);
	n = &c->connections[5];
	assert_int_equal(n->initiate, CFG_INITIATE_START);
	assert_true(n->tunnel_interface);
	assert_int_equal(n->tunnel_route_count, 0);
	assert_true(n->request_v4 && n->request_v6);
	assert_int_equal(n->request_hint_v4.family, 0);
	assert_int_equal(n->request_hint_v6.family, 0);
	cfg_free(c);
}

static void defaults_are_the_tables(void **state)
{
	struct cfg *c = load(everything);
	const struct cfg_connection *n = &c->connections[1];
	assert_true(n->ikev2 && !n->ikev1);
	assert_int_equal(n->ike_proposal_count, 2);
	assert_true(n->ike_proposals[0].aead);
	assert_string_equal(n->remote.id, "*");
	assert_false(n->mode_config_respond || n->mode_config_initiate);
	assert_int_equal(n->pool_count, 0);
	assert_false(n->aggressive);
	assert_int_equal(n->push, CFG_PUSH_AFTER_STATUS);
	assert_int_equal(n->push_delay_ms, 500);
	assert_int_equal(n->unique, CFG_UNIQUE_REPLACE);
	assert_int_equal(n->lifetime.ike_rekey_s, 14400);
	assert_int_equal(n->lifetime.ike_hard_s, 86400);
	assert_int_equal(n->lifetime.child_rekey_s, 3600);
	assert_int_equal(n->lifetime.child_hard_s, 86400);
	assert_int_equal(n->lifetime.reauth_s, 0);
	assert_true(n->lifetime.child_rekey_bytes == 0 && n->lifetime.child_rekey_packets == 0);
	assert_true(n->lifetime.child_hard_bytes == 0 && n->lifetime.child_hard_packets == 0);
	assert_int_equal(n->initiate, CFG_INITIATE_NONE);
	assert_true(n->mobike && !n->tunnel_interface && !n->request_v4 && !n->request_v6);
	assert_int_equal(n->dpd.delay_s, 30);
	assert_int_equal(n->dpd.timeout_s, 150);
	assert_int_equal(n->fragment_size, 1280);
	assert_int_equal(n->children[0].esp_proposal_count, 3);
	assert_int_equal(n->children[0].replay_window, 128);
	assert_true(n->children[0].esn);
	assert_false(n->children[0].per_resource || n->children[0].tunnel_interface);
	assert_int_equal(n->children[0].pfs, CFG_PFS_OPTIONAL);
	assert_int_equal(n->children[0].df, CFG_DF_COPY);
	assert_int_equal(n->children[0].tfc, CFG_TFC_OFF);
	assert_int_equal(n->mss, CFG_MSS_OFF);
	assert_int_equal(n->dscp, CFG_DSCP_COPY);
	assert_true(n->ecn && !n->idle_s && !n->rate_in_kbit_s && !n->rate_out_kbit_s);
	assert_int_equal(n->children[0].fragment, CFG_FRAGMENT_BEFORE);
	assert_int_equal(n->children[0].mtu, 0);
	cfg_free(c);
	c = load("");
	assert_int_equal(c->main.worker_count, 1);
	assert_int_equal(c->main.workers[0], 1);
	assert_int_equal(c->main.helper_count, 1);
	assert_int_equal(c->main.idle, CFG_IDLE_POLL);
	assert_int_equal(c->main.hugepages, CFG_HUGEPAGES_AUTO);
	assert_int_equal(c->main.memory_mb, 512);
	assert_int_equal(c->main.max_sessions, 16384);
	assert_int_equal(c->main.cookie_threshold, 100);
	assert_int_equal(c->main.half_open_timeout_s, 30);
	assert_int_equal(c->main.half_open_max_ikev1, 512);
	assert_true(c->main.quick_crash_detection);
	assert_string_equal(c->main.state_dir, "/var/lib/sallyport");
	assert_string_equal(c->main.run_dir, "/run/sallyport");
	cfg_free(c);
}

static void a_default_soft_limit_gives_way(void **state)
{
	struct cfg *c = load(
		"credentials: { psk = ( { id = \"*\"; secret = \"0123456789012345678901\"; } ); };"
		"connections = ( { name = \"c\"; local = { id = \"gw\"; auth = \"psk\"; };"
		" remote = { auth = \"psk\"; }; dpd = { delay_s = 400; };"
		" lifetime = { child_hard_s = 20; ike_hard_s = 1; };"
		" children = ( { name = \"a\"; local_ts = [ \"::/0\" ]; } ); } );");
	assert_int_equal(c->connections[0].lifetime.child_rekey_s, 18);
	assert_int_equal(c->connections[0].lifetime.ike_rekey_s, 0);
	assert_int_equal(c->connections[0].dpd.timeout_s, 400);
	cfg_free(c);
}

static void selectors_are_parsed(void **state)
{
	static const struct {
		const char *text;
		const char *want; // NULL: refused
	} cases[] = {
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"10.0.0.1", "10.0.0.1/32"},
		{"10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"},
		{"2001:db8::/32[icmpv6]", "2001:db8::/32[58]"},
		{"10.0.0.0/8[tcp/443]", "10.0.0.0/8[6/443]"},
		{"10.0.0.0/8[17/1-65535]", "10.0.0.0/8[17/1-65535]"},
		{"10.0.0.0/8[0]", "10.0.0.0/8"},
		{"10.0.0.0/8[0/80]", NULL},
		{"10.0.0.0/8[tcp", NULL},
		{"10.0.0.0/8[tcp/]", NULL},
		{"10.0.0.0/8[tcp/-1]", NULL},
		{"10.0.0.0/8[tcp/65536]", NULL},
		{"10.0.0.0/8[tcp/1-]", NULL},
		{"10.0.0.0/8[256]", NULL},
		{"10.0.0.0/8[]", NULL},
		{"[tcp]", NULL},
		{"", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct selector s;
		assert_int_equal(selector_parse(cases[i].text, &s), cases[i].want ? 0 : -EINVAL);
		if (cases[i].want)
			assert_selector(&s, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(main_is_read),
		cmocka_unit_test(ports_are_read),
		cmocka_unit_test(pools_are_read),
		cmocka_unit_test(credentials_are_read),
		cmocka_unit_test(connections_are_read),
		cmocka_unit_test(children_are_read),
		cmocka_unit_test(ikev1_is_read),
		cmocka_unit_test(what_is_begun_is_read),
		cmocka_unit_test(defaults_are_the_tables),
		cmocka_unit_test(a_default_soft_limit_gives_way),
		cmocka_unit_test(selectors_are_parsed),
	};
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
