//! Health by service, and reflection.

use proto::{
    admin::v1::admin_service_server::SERVICE_NAME as ADMIN,
    inventory::v1::{
        cart_service_server::SERVICE_NAME as CARTS, inventory_service_server::SERVICE_NAME as SALE,
        order_service_server::SERVICE_NAME as ORDERS,
    },
};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

/// Tells the health of the server as a whole and of each service.
#[derive(Clone)]
pub(crate) struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Nothing is served yet. Also gives the routes of health and, if wanted, of reflection.
    pub(crate) async fn begin(reflection: bool) -> (Health, Routes) {
        let (reporter, service) = tonic_health::server::health_reporter();
        let health = Health { reporter };
        health.serving(false).await;
        let mut routes = Routes::new(service);
        if reflection {
            routes = with_reflection(routes);
        }
        (health, routes)
    }

    /// Says whether commands are taken.
    pub(crate) async fn serving(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in ["", SALE, CARTS, ORDERS, ADMIN] {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

fn with_reflection(routes: Routes) -> Routes {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => {
            // The descriptors are compiled in and a test reads them: not worth a refused start.
            tracing::error!(%error, "reflection is off: the descriptors do not read");
            routes
        }
    }
}
