/** Charges and refunds that stand still, die or come late: what the tests of leases are made of. */
import type { PriceId, TransactionId } from '../../src/domain/ids.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import { makeCommands } from '../../src/usecases/commands.js';
import type { Actor } from '../../src/usecases/contract.js';
import { resolvePayment } from '../../src/usecases/resolve-payment.js';
import type { PaymentRef } from '../../src/usecases/send-payment.js';
import { resolveRefund } from '../../src/usecases/send-refund.js';
import { newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';
import { Gate, withCalls, withDatabaseHooks } from './wiring.js';

/** What the tests do alike with both. */
export type Kind = 'charge' | 'refund';
export const KINDS: Kind[] = ['charge', 'refund'];
/** The stand-in's name of the operation that carries it out. */
export const CREATE = { charge: 'payment_intents.create', refund: 'refunds.create' } as const;
/** The request never arrives: a connection that breaks is tried once more by the client itself. */
export const LOST = { kind: 'reset', count: 2 };
const TABLE = { charge: 'payment_attempt', refund: 'refund' } as const;

/** All that may ever happen of one begun here: the amount charged, or given back. */
export const ONCE = { charge: [800], refund: [300] };

/** A world of its own with a tier on sale. */
export class Scene {
  private constructor(
    readonly world: World,
    readonly premium: PriceId,
  ) {}

  static async start(): Promise<Scene> {
    const world = await startWorld();
    return new Scene(world, (await priceId(world, { tier: 'premium' })) as PriceId);
  }

  /** Begins a charge, or a refund of a charge that is there, through this cashier. */
  async begin(kind: Kind, actor: Actor, cashier: Cashier): Promise<void> {
    const commands = makeCommands(cashier);
    if (kind === 'charge') {
      await commands.subscribe(actor, {
        priceId: this.premium,
        paymentMethodId: null,
        coupon: null,
        useTrial: false,
        expectedAmount: null,
        returnUrl: null,
        idempotencyKey: newKey(),
      });
    } else {
      await commands.refund(someStaff('support'), {
        transactionId: (await this.refOf('charge', actor)).id,
        amount: { minor: 300n, currency: 'USD' },
        reason: 'requested',
        note: null,
        endSubscription: false,
        idempotencyKey: newKey(),
      });
    }
  }

  /** A customer for whom a charge, or a refund, can be begun. */
  async customerFor(kind: Kind): Promise<Actor> {
    const ana = await withCard(this.world, someUser());
    if (kind === 'refund') await this.begin('charge', ana, this.world.gateway);
    return ana;
  }

  async refOf(kind: Kind, actor: Actor): Promise<PaymentRef> {
    const [row] = await this.world.query<{ id: TransactionId }>(`select id from ${TABLE[kind]} where user_id = $1`, [
      actor.userId,
    ]);
    if (!row) throw new Error(`no ${kind}`);
    return { id: row.id, userId: actor.userId };
  }

  /** Everything that is written of a charge or refund. */
  async written(kind: Kind, { id, userId }: PaymentRef) {
    return {
      rows: await this.world.query(`select * from ${TABLE[kind]} where id = $1`, [id]),
      transactions: await this.world.query('select id, status, version from transaction where user_id = $1 order by id', [
        userId,
      ]),
      movements: await this.world.query('select event, leg from ledger_movement where user_id = $1 order by 1, 2', [userId]),
      findings: await this.world.query('select kind from recon_finding where subject_id = $1', [id]),
    };
  }

  async statusOf(kind: Kind, { id }: PaymentRef): Promise<string> {
    const [row] = await this.world.query<{ status: string }>(`select status from ${TABLE[kind]} where id = $1`, [id]);
    return row?.status ?? '';
  }

  /** What the provider really did for the customer. */
  async effects(kind: Kind, actor: Actor): Promise<number[]> {
    const [row] = await this.world.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
      actor.userId,
    ]);
    const charges = (await this.world.truth()).charges.filter(({ customer, paid }) => paid && customer === row?.object_id);
    return charges.map(({ amount, amount_refunded }) => (kind === 'charge' ? amount : amount_refunded));
  }
  /** Lets a worker look when its listing counts: the first that does not show the operation. */
  async untilAbsentOnce(kind: Kind, ref: PaymentRef): Promise<void> {
    await this.world.advance(16 * 60_000);
    await look(kind, this.world.worker, ref);
    const [row] = await this.world.query<{ absent_since: Date | null }>(`select absent_since from ${TABLE[kind]} where id = $1`, [
      ref.id,
    ]);
    if (!row?.absent_since) throw new Error('no listing counted');
  }
}

/** Looks at one that is due, as a worker does. */
export const look = (kind: Kind, cashier: Cashier, ref: PaymentRef): Promise<void> =>
  kind === 'charge' ? resolvePayment(cashier, ref, 'due') : resolveRefund(cashier, ref);

/** A cashier whose calls of these names stand still at a gate; the rest go through. */
export function holding(cashier: Cashier, ...names: string[]): { cashier: Cashier; call: Gate } {
  const call = new Gate();
  return {
    call,
    cashier: withCalls(cashier, async (name, made) => {
      if (names.length === 0 || names.includes(name)) await call.pass();
      return made();
    }),
  };
}

/** A process that dies when it would call. */
export const dying = (cashier: Cashier): Cashier => withCalls(cashier, () => Promise.reject(new Error('killed')));

/** A process that stands still between each of its commits and what it does next. */
export function slow(cashier: Cashier, byMs: number): Cashier {
  let nowMs = 0;
  const late = withDatabaseHooks(cashier, {
    commit: async (write) => {
      await write();
      nowMs += byMs;
    },
  });
  return { ...late, monotonicMs: () => nowMs };
}
