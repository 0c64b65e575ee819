import { BlockList, isIPv4, isIPv6 } from 'node:net';

/**
 * Whether an IP address is anything but a public one of a single host: private, loopback, link-local, shared (RFC 6598),
 * documentation, benchmark, multicast, reserved, or an IPv6 address that carries an IPv4 address inside. What is no
 * address is taken for private. Source: the IANA special-purpose address registries (RFC 6890).
 */
export function isPrivateAddress(address: string): boolean {
  if (isIPv4(address)) return NOT_PUBLIC.check(address, 'ipv4');
  // A scope, `fe80::1%eth0`, is only of addresses that are not public.
  if (!isIPv6(address) || address.includes('%')) return true;
  return !GLOBAL_UNICAST.check(address, 'ipv6') || NOT_PUBLIC.check(address, 'ipv6');
}

const NOT_PUBLIC = new BlockList();
/** Of IPv4, as `network/length`; octets that are zero at the end are left out. */
for (const subnet of [
  '0/8',
  '10/8',
  '100.64/10',
  '127/8',
  '169.254/16',
  '172.16/12',
  '192.0.0/24',
  '192.0.2/24',
  '192.88.99/24',
  '192.168/16',
  '198.18/15',
  '198.51.100/24',
  '203.0.113/24',
  '224/4',
  '240/4',
]) {
  const [network = '', length] = subnet.split('/');
  const octets = [...network.split('.'), '0', '0', '0'].slice(0, 4);
  NOT_PUBLIC.addSubnet(octets.join('.'), Number(length), 'ipv4');
}

/** All of IPv6 that is given to hosts of the Internet, and what of it is not: Teredo and other protocols, documentation, 6to4. */
const GLOBAL_UNICAST = new BlockList();
GLOBAL_UNICAST.addSubnet('2000::', 3, 'ipv6');
NOT_PUBLIC.addSubnet('2001::', 23, 'ipv6');
NOT_PUBLIC.addSubnet('2001:db8::', 32, 'ipv6');
NOT_PUBLIC.addSubnet('2002::', 16, 'ipv6');
NOT_PUBLIC.addSubnet('3fff::', 20, 'ipv6');
