// What a shop has in stock.
import type { Scale } from "./scale";

export interface Shelf<T extends Item = Item> {
  readonly items: T[];
  put(item: T): boolean;
}

export type Names = Record<string, Item["name"]>;

export enum Change {
  Added,
  Removed = "removed",
}

export abstract class Store<T extends Item> implements Shelf<T> {
  readonly items: T[] = [];
  private weigh = (scale: Scale): number => scale.weigh(this.items);

  constructor(protected name: string) {}

  put(item: T): boolean;
  put(item: T, place?: number): boolean {
    return this.items.splice(place ?? 0, 0, item).length === 0;
  }

  abstract count(): number;
}

class Item {
  name = "";
}

namespace Report {
  export const print = <T,>(value: T): string => `${value as string}`;
  export function line(text: string): string {
    return text satisfies string;
  }
}

declare module "scales" {
  function tare(): void;
}

export const longest = function (items: Item[]): Item | undefined {
  return items.at(0);
};
