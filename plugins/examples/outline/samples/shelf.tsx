// What a shop shows of its stock.
import { useState } from "react";

type Props = { items: string[]; onPick?: (item: string) => void };

export const Row = ({ item }: { item: string }) => <li>{item}</li>;

export default function Shelf({ items, onPick }: Props) {
  const [picked, setPicked] = useState<string>();
  const pick = (item: string) => {
    setPicked(item);
    onPick?.(item);
  };
  return (
    <ul title="function notCode() {}">
      {items.map((item) => (
        <Row key={item} item={item === picked ? `${item}!` : item} />
      ))}
    </ul>
  );
}
