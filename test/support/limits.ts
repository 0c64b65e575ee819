import { type Db, Decimal128, UUID } from 'mongodb';
import { newUuid } from '../../services/domain/new-uuid.js';

/** Puts a shared limit into the store as a service would, with the driver alone; answers its id. */
export async function insertLimit(
  db: Db,
  limit: { readonly maxCost: string; readonly type?: 'ALLOW' | 'BLOCK'; readonly threshold?: string },
): Promise<string> {
  const id = newUuid();
  const now = new Date();
  const document = {
    _id: { a: 'default', i: new UUID(id) },
    n: id,
    nk: id,
    ty: limit.type === 'ALLOW' ? 'a' : 'b',
    mx: decimal(limit.maxCost),
    th: decimal(limit.threshold ?? '1'),
    pn: 1,
    ps: [{ p: 1, c: now }],
    r: 1,
    c: now,
    u: now,
  };
  await db.collection<typeof document>('limits').insertOne(document);
  return id;
}

/** Gives a type a limit for each new experience. */
export async function setLimitConfig(
  db: Db,
  type: string,
  config: { readonly maxCost: string; readonly type?: 'ALLOW' | 'BLOCK' },
): Promise<void> {
  const lc = {
    ty: config.type === 'ALLOW' ? 'a' : 'b',
    mx: decimal(config.maxCost),
    th: decimal('1'),
  };
  await db.collection('experience_types').updateOne({ '_id.n': type }, { $set: { lc } });
  await db.collection<{ _id: string }>('applications').updateOne({ _id: 'default' }, { $inc: { r: 1 } });
}

/** Begins its next period. */
export async function resetLimit(db: Db, id: string): Promise<void> {
  await db
    .collection('limits')
    .updateOne({ '_id.i': new UUID(id) }, [
      { $set: { pn: { $add: ['$pn', 1] }, ps: { $concatArrays: ['$ps', [{ p: 2, c: '$$NOW' }]] } } },
    ] as never);
}

/** What is kept of a limit in one period, over all lanes. */
export async function limitSum(db: Db, id: string, period = 1): Promise<LimitSums> {
  const sums = { spent: 0n, held: 0n, unsettled: 0n, events: 0n, blocked: 0n, blockedExternal: 0n };
  const documents = db
    .collection<LimitSumRow>('limit_sums')
    .find({ '_id.i': new UUID(id), '_id.p': period } as object, { promoteLongs: false });
  for await (const { sp, ho, un, n, nb, nx } of documents) {
    sums.spent += units18(sp);
    sums.held += units18(ho);
    sums.unsettled += units18(un);
    sums.events += BigInt(String(n ?? 0));
    sums.blocked += BigInt(String(nb ?? 0));
    sums.blockedExternal += BigInt(String(nx ?? 0));
  }
  return {
    spent: text(sums.spent),
    held: text(sums.held),
    unsettled: text(sums.unsettled),
    events: Number(sums.events),
    blocked: Number(sums.blocked),
    blockedExternal: Number(sums.blockedExternal),
  };
}

export interface LimitSums {
  readonly spent: string;
  readonly held: string;
  readonly unsettled: string;
  readonly events: number;
  readonly blocked: number;
  readonly blockedExternal: number;
}

interface LimitSumRow {
  readonly sp?: Decimal128;
  readonly ho?: Decimal128;
  readonly un?: Decimal128;
  readonly n?: unknown;
  readonly nb?: unknown;
  readonly nx?: unknown;
}

function decimal(amount: string): Decimal128 {
  const [whole = '0', fraction = ''] = amount.split('.');
  return Decimal128.fromString(`${whole}.${fraction.padEnd(18, '0')}`);
}

/** All are kept with 18 digits after the point, so they are read without their point. */
function units18(amount: Decimal128 | undefined): bigint {
  if (amount === undefined) return 0n;
  const plain = amount.toString();
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:E-(\d+))?$/.exec(plain);
  if (match === null) throw new Error(`'${plain}' is no amount`);
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const digits = BigInt(whole + fraction);
  const scale = fraction.length + Number(exponent);
  const value = digits * 10n ** BigInt(18 - scale);
  return sign === '-' ? -value : value;
}

function text(units: bigint): string {
  const magnitude = units < 0n ? -units : units;
  const fraction = String(magnitude % 10n ** 18n)
    .padStart(18, '0')
    .replace(/0+$/, '');
  return `${units < 0n ? '-' : ''}${magnitude / 10n ** 18n}${fraction === '' ? '' : `.${fraction}`}`;
}
