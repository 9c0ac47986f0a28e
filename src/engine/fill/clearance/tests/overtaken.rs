//! A look that finds nothing, while another request has the response stored.

use super::*;
use crate::entry::Entry;
use crate::store::{Store, StoreReply};

/// A store whose next look, after it has found nothing, lets a whole request go before it answers.
#[derive(Debug)]
struct Slow {
    inner: EmbeddedStore,
    meanwhile: Mutex<Option<Meanwhile>>,
}

struct Meanwhile(BoxFuture<'static, ()>);

impl Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Store for Slow {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<StoreReply, Error>> {
        async move {
            let found = self.inner.get(keys).await;
            let meanwhile = self.meanwhile.lock().take();
            if let Some(Meanwhile(request)) = meanwhile {
                request.await;
            }
            found
        }
        .boxed()
    }

    fn put<'a>(
        &'a self,
        key: &'a CacheKey,
        entry: Entry,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.put(key, entry, keep)
    }

    fn remove<'a>(&'a self, key: &'a CacheKey) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.remove(key)
    }
}

/// One call, though the second request found neither the response nor a flight.
#[tokio::test(start_paused = true)]
async fn who_was_overtaken_looks_again_before_it_calls() {
    for vary in [None, Some("accept-language")] {
        let value = vary.map(http::HeaderValue::from_static);
        let fields = http::HeaderMap::from_iter(value.map(|value| (http::header::VARY, value)));
        let clock = ManualClock::default();
        let log = EmbeddedLog::new(&clock);
        let store = Arc::new(Slow {
            inner: EmbeddedStore::new(log.clone(), Arc::new(clock.clone()), 1 << 20),
            meanwhile: Mutex::default(),
        });
        let (cache, _companion) = Cache::builder()
            .clock(clock)
            .rule(Rule::new("r", "/{page}").ttl(Duration::from_secs(60)))
            .backend(Arc::new(log), Arc::clone(&store) as Arc<dyn Store>)
            .build()
            .expect("a good rule");
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let origin = service_fn(move |_: Request<Empty<Bytes>>| {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut response = Response::new(Full::new(Bytes::from_static(b"page")));
            response.headers_mut().extend(fields.clone());
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let service = cache.layer().layer(origin);
        let ask = |path: &'static str| {
            let service = service.clone();
            async move {
                let request = Request::get(path).body(Empty::new()).expect("a request");
                let answer = service.oneshot(request).await;
                let answer = answer.expect("the origin does not fail");
                let how = answer.headers()["cache-status"].to_str().map(str::to_owned);
                answer.into_body().collect().await.expect("a whole body");
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
                how.expect("text")
            }
        };
        let other = ask("/1").map(drop).boxed();
        *store.meanwhile.lock() = Some(Meanwhile(other));
        let how = ask("/1").await;
        assert!(how.contains("collapsed"), "{how}");
        assert_eq!(calls.load(Ordering::SeqCst), 1, "{vary:?}");
        assert!(ask("/1").await.contains("hit"), "{vary:?}");
        assert!(ask("/2").await.contains("stored"), "{vary:?}");
        assert_eq!(calls.load(Ordering::SeqCst), 2, "{vary:?}");
    }
}
